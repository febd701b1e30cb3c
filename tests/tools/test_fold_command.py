"""`normlab fold` on checkpoints of train.py."""

import importlib.util
import json

import pytest
import torch
from typer.testing import CliRunner

from normlab.cli import app
from normlab.measure.timing import network_runs
from normlab.training.trained_model import load_trained

RUN = [
    *("data=digits", "model.width=8", "logger=none"),
    *("trainer.max_steps=4", "trainer.checkpoint_every=4", "trainer.stop_diverged=false"),
]


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(network_runs, "ROUNDS", 2)
    monkeypatch.setattr(network_runs, "SECONDS", 1e-4)
    monkeypatch.setenv("COLUMNS", "200")


def test_folds_exports_checks_and_times(train, tmp_path, quick):
    pytest.importorskip("onnxruntime")
    from normlab.tools.export import open_onnx, run_onnx

    done = train(*RUN, "norm=batchnorm", "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    checkpoint, path = tmp_path / "run" / "last.ckpt", tmp_path / "out.onnx"
    done = CliRunner().invoke(app, ["fold", str(checkpoint), "--onnx", str(path)])
    assert done.exit_code == 0, done.output
    assert (
        "5 of 5 batch norms folded" in done.output and "features.1: into features.0" in done.output
    )
    for words in (
        "as trained",
        "folded, ONNX Runtime",
        "largest error",
        "100 %",
        "batch 1, ms",
        "batch 32, ms",
    ):
        assert words in done.output

    model, data = load_trained(checkpoint)
    x = next(iter(data.eval_batches("test")))[0]
    torch.testing.assert_close(run_onnx(open_onnx(path), x), model.eval()(x), rtol=1e-4, atol=1e-5)

    found = importlib.util.find_spec
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else found(name)
        )
        refused = CliRunner().invoke(app, ["fold", str(checkpoint), "--onnx", str(path)])
        assert refused.exit_code == 2 and "pip install onnxruntime" in refused.stderr
        assert "Traceback" not in refused.stderr
        assert CliRunner().invoke(app, ["fold", str(checkpoint)]).exit_code == 0


def test_a_network_without_batch_norms_is_refused(train, tmp_path):
    done = train(*RUN, "norm=groupnorm", "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    refused = CliRunner().invoke(app, ["fold", str(tmp_path / "run" / "last.ckpt")])
    assert refused.exit_code == 2 and "no batch norm to fold" in refused.stderr


def test_lists_what_becomes_of_the_batch_norms_of_a_model_by_name():
    name = "torchvision:shufflenet_v2_x0_5"
    done = CliRunner().invoke(app, ["fold", "--list", name])
    assert done.exit_code == 0 and "56 of 56 batch norms folded" in done.output, done.output
    done = CliRunner().invoke(app, ["fold", "--list", name, "--json"])
    fates = json.loads(done.stdout)["batch_norms"]
    assert fates[0] == {"name": "conv1.1", "into": ["conv1.0"], "reason": ""}
