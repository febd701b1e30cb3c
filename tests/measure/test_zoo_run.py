"""`normlab zoo`: rows that outlive a kill, limits, names of families, and the page of the rows."""

import json
import os
import time
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from normlab.cli import app
from normlab.errors import NormLabError
from normlab.measure.zoo import families, run
from normlab.measure.zoo.equality import difference, fold_equality
from normlab.measure.zoo.examination import examine
from normlab.measure.zoo.families import Network, stem
from normlab.measure.zoo.operators import nms
from normlab.measure.zoo.processes import Limits, examine_apart
from normlab.measure.zoo.rows import Row, code_hash, read_rows, sorted_lines
from normlab.measure.zoo.small_configs import shrink
from normlab.models import torchvision_operators  # noqa: F401  (before torchvision)
from normlab.records.places import CHECKOUT, RESULTS
from normlab.report.zoo_page import zoo_page


def empty(name, **values):
    return Row(name, "family", name.partition(":")[0], "1.0", code_hash(), **values)


def test_the_page_is_built_from_the_rows():
    rows = read_rows()
    assert rows
    assert (CHECKOUT / "docs" / "zoo.md").read_text() == zoo_page(rows.values())
    assert (RESULTS / "zoo.jsonl").read_text() == sorted_lines(rows.values())


@pytest.fixture
def three(monkeypatch):
    """A library of three networks."""
    names = [Network(f"timm:{name}", name) for name in "abc"]
    monkeypatch.setattr(run, "networks", lambda library: names)
    monkeypatch.setattr(run, "library_version", lambda library: "1.0")
    return names


def test_it_goes_on_where_it_stopped(three, tmp_path):
    seen = []

    def examined(row, limits):
        seen.append(row.network)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return row

    with pytest.raises(KeyboardInterrupt):
        list(run.run_zoo(three, tmp_path, examine=examined))
    assert set(read_rows(tmp_path)) == set(seen[:2])
    with (tmp_path / "zoo.jsonl").open("a") as file:
        file.write('{"network": "timm:')  # as a kill leaves it
    (row,) = run.run_zoo(three, tmp_path, examine=examined)
    assert row.network == seen[2] and len(seen) == 4
    assert not list(run.run_zoo(three, tmp_path, examine=examined))
    assert len(list(run.run_zoo(three, tmp_path, examine=examined, again=True))) == 3
    lines = (tmp_path / "zoo.jsonl").read_text()
    assert lines == sorted_lines(read_rows(tmp_path).values()) and lines.count("\n") == 3


def test_rows_of_other_code_or_versions_are_measured_again(three, tmp_path):
    (tmp_path / "zoo.jsonl").write_text(empty("timm:a", seconds=1.0).line + "\n")
    assert [row.network for row in run.run_zoo(three[:1], tmp_path, examine=lambda r, _: r)] == []
    (tmp_path / "zoo.jsonl").write_text(Row("timm:a", "a", "timm", "0.9", code_hash()).line + "\n")
    assert len(list(run.run_zoo(three[:1], tmp_path, examine=lambda r, _: r))) == 1
    (tmp_path / "zoo.jsonl").write_text('{"family": "a"}\n')
    with pytest.raises(NormLabError, match="line 1 is no row of the zoo"):
        read_rows(tmp_path)


def spinning(row):
    yield "build"
    row.parameters = 3
    yield "audit"
    while True:
        time.perf_counter()


def dying(row):
    yield "fold"
    os._exit(3)


@pytest.mark.parametrize(
    "stages, stage, words",
    [(spinning, "audit", "ran past 1 s of CPU time"), (dying, "fold", "died with status 3")],
)
def test_what_breaks_in_a_process_is_a_row(stages, stage, words, monkeypatch):
    """Forked from here, so that it knows the stages of this file."""
    import multiprocessing

    from normlab.measure.zoo import processes

    context = multiprocessing.get_context("fork")
    context = SimpleNamespace(
        Pipe=context.Pipe, Process=context.Process, set_forkserver_preload=lambda names: None
    )
    monkeypatch.setattr(processes.multiprocessing, "get_context", lambda method: context)
    monkeypatch.setattr("normlab.measure.zoo.examination.examine", stages)
    row = examine_apart(empty("timm:a"), Limits(1, 8 << 30))
    assert words in row.reasons[stage] and list(row.reasons) == [stage]
    assert row.parameters == (3 if stages is spinning else None)


def test_a_network_of_each_library():
    pytest.importorskip("timm")
    pytest.importorskip("transformers")
    for name, norms in (("timm:test_resnet", 15), ("transformers:gpt2", 5)):
        row = empty(name)
        assert list(examine(row)) == ["build", "audit", "fold", "convert", "step"]
        assert (row.step, row.converted, row.reasons, row.findings) == ("ok", norms, {}, {})
        assert row.norms and row.parameters and not row.left and json.loads(row.line)
        assert (row.folded, row.fold) == ((15, "equal") if "resnet" in name else (0, ""))
    row = empty("timm:no_such_network")
    assert list(examine(row)) == ["build"] and "unknown model" in row.reasons["build"]


def test_equality_of_what_is_folded():
    x = torch.randn(2, 3, 4, 4)
    plain = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    other = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Identity())
    assert fold_equality(plain, plain, x) == ("equal", 0.0)
    # Folded anew in float64 it is equal: the given one is not what `fold` makes.
    assert fold_equality(plain, other, x)[0] == "equal in float64"
    assert difference([x], [x[:1]]) is None and difference([x], [x + float("nan")]) is None
    with torch.no_grad():
        plain[0].weight.fill_(float("inf"))
    assert fold_equality(plain, plain, x)[0] == "not finite"


def test_boxes_that_overlap_go():
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]])
    assert nms(boxes, torch.tensor([0.5, 0.9, 0.1]), 0.5).tolist() == [1, 2]
    assert nms(boxes[:0], torch.tensor([]), 0.5).tolist() == []


def test_families_and_small_numbers():
    for name, family in (
        ("resnet50_gn", "resnet_gn"),
        ("resnetv2_50", "resnetv2"),
        ("convnext_tiny", "convnext"),
        ("swin_v2_t", "swin_v2"),
        ("s3d", "s3d"),
    ):
        assert stem(name) == family
    config = SimpleNamespace(
        **{"hidden_size": 4096, "num_hidden_layers": 40, "num_attention_heads": 32},
        **{"vocab_size": 32000, "image_token_id": 31999, "layer_types": ["a", "b"] * 20},
        **{"patch_size": 14, "depths": [3, 3, 27, 3], "tie": True, "eos_token_id": 2},
    )
    shrink(config)
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (64, 2, 4)
    assert (config.patch_size, config.depths, config.tie) == (14, [1, 1, 1, 1], True)
    assert config.image_token_id < config.vocab_size < 100 and config.layer_types == ["a", "b"]


def test_what_is_wrong_is_one_sentence(monkeypatch, tmp_path):
    def said(*arguments):
        done = CliRunner().invoke(app, ["zoo", *arguments, "--results", str(tmp_path)])
        assert done.exit_code == 2 and "Traceback" not in done.stderr
        return done.stderr

    assert "unknown library 'keras': choose one of torchvision, timm" in said("--library", "keras")
    assert "write LIBRARY:NAME" in said("--only", "resnet18")

    def missing(name):
        raise ImportError

    monkeypatch.setattr(families, "import_module", missing)
    assert "pip install 'normlab[models]'" in said("--library", "timm")
