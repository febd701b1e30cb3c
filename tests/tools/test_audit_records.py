"""What findings rest on, and what `normlab audit` prints."""

import json
import re
from functools import partial
from pathlib import Path

import pytest
import torch
from audited_networks import names, network
from torch import nn
from typer.testing import CliRunner

import normlab
from normlab.claims.registry import load_claim
from normlab.cli import app
from normlab.errors import NormLabError
from normlab.records.verdict import PartVerdict, Verdict, to_json
from normlab.tools.audit import finding
from normlab.tools.audit.finding import Evidence


def test_every_record_is_one_of_a_claim_and_its_parts():
    source = "".join(path.read_text() for path in Path(finding.__file__).parent.glob("*.py"))
    written = set(re.findall(r'Evidence\("([^"]+)"(?:, "([^"]+)")?', source))
    assert len({slug for slug, _ in written}) >= 12
    model, world = network(partial(nn.BatchNorm2d, momentum=0.9), bias=True), {"world_size": 2}
    for found in (
        found for n in (1, 2, 8) for found in normlab.audit(model, batch_per_device=n, **world)
    ):
        written |= {(record.slug, record.part or "") for record in found.evidence}
    for slug, part in written:
        assert part in ["", *(part.name for part in load_claim(slug).parts)], slug


def test_a_finding_whose_record_says_the_opposite_is_left_out(tmp_path, monkeypatch):
    def record(verdict):
        part = PartVerdict("two", "it costs", "", "", verdict, 8.0, 6.0, 10.0, "points", 5)
        row = Verdict("bn-batch-below-16", "all of it", (), "partly supported", (part,))
        (tmp_path / verdict).mkdir()
        (tmp_path / verdict / "verdicts.json").write_text(to_json([row]))
        monkeypatch.setattr(Evidence.recorded, "__defaults__", (tmp_path / verdict,))
        monkeypatch.setattr(Evidence.contradicted, "__defaults__", (tmp_path / verdict,))

    record("inconclusive")
    (found,) = normlab.audit(network(), batch_per_device=2)
    assert str(found).endswith(
        'record of bn-batch-below-16: "it costs": inconclusive, 8.0 (6.0 to 10.0) points'
    )
    record("refuted")
    assert names(network(), batch_per_device=2) == []
    assert finding.Evidence("no-such-claim").recorded().verdict == "no data"


def test_refusals_and_the_command(monkeypatch):
    monkeypatch.setattr(Evidence, "contradicted", lambda self: False)
    with pytest.raises(NormLabError, match="cannot be called with sample_batch"):
        normlab.audit(network(), torch.randn(2, 5))
    with pytest.raises(NormLabError, match="at least 1"):
        normlab.audit(network(), world_size=0)
    run = partial(CliRunner().invoke, app)
    done = run(
        ["audit", "torchvision:resnet18", "--world-size", "4", "--batch-per-device", "2", "--json"]
    )
    assert [row["name"] for row in json.loads(done.stdout)] == ["tiny-batch", "local-statistics"]
    assert "0 findings in 5 norm layers" in run(["audit", "transformers:gpt2"]).stdout
    assert run(["audit", "torchvision:resnet0"]).exit_code == 2


def test_the_command_reads_a_checkpoint(train, tmp_path, monkeypatch):
    monkeypatch.setattr(Evidence, "contradicted", lambda self: False)
    done = train(
        *(
            "data=digits",
            "norm=batchnorm",
            "data.batch_size=4",
            "model.width=8",
            "logger=none",
            "hydra.run.dir=run",
        ),
        *("trainer.max_steps=4", "trainer.checkpoint_every=4", "trainer.stop_diverged=false"),
    )
    assert done.returncode == 0, done.stderr
    found = CliRunner().invoke(app, ["audit", str(tmp_path / "run" / "last.ckpt")])
    assert "4 samples share statistics" in found.stdout
    found = CliRunner().invoke(
        app, ["audit", str(tmp_path / "run" / "last.ckpt"), "--eval", "--json"]
    )
    assert [row["name"] for row in json.loads(found.stdout)] == ["foldable"]
