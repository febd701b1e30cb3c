"""Networks in ONNX Runtime compute what they compute here; what cannot be exported is refused."""

import importlib.util

import pytest
import torch
from torch import nn

from normlab.errors import NormLabError
from normlab.tools.export import check_onnx, export_as_it_is, export_onnx, open_onnx, run_onnx

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()).eval()


def test_any_batch_size(tmp_path):
    model, path = net(), tmp_path / "net.onnx"
    export_onnx(model, torch.randn(1, 3, 8, 8), path)
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]  # weights and all
    session = open_onnx(path)
    for n in (1, 2, 5):
        x = torch.randn(n, 3, 8, 8)
        torch.testing.assert_close(run_onnx(session, x), model(x), rtol=1e-5, atol=1e-5)


def test_what_cannot_be_exported_is_refused_in_a_sentence(tmp_path):
    class Undecided(nn.Module):
        def forward(self, x):
            return x + 1 if x.sum() > 0 else x

    with pytest.raises(NormLabError, match=r"^torch\.onnx cannot export this model: .+$"):
        export_onnx(Undecided(), torch.randn(2, 3), tmp_path / "net.onnx")


@pytest.mark.parametrize(("level", "left"), [("none", 1), ("basic", 0), ("all", 0)])
def test_batch_norms_stay_in_the_file_and_optimizations_take_them_out(level, left, tmp_path):
    def batch_norms(path):
        return sum(node.op_type == "BatchNormalization" for node in onnx.load(path).graph.node)

    given, optimized = tmp_path / "given.onnx", tmp_path / "optimized.onnx"
    model, x = net(), torch.randn(2, 3, 8, 8)
    export_as_it_is(model, x, given)
    assert batch_norms(given) == 1 and not model.training
    torch.testing.assert_close(
        run_onnx(open_onnx(given, level, optimized), x), model(x), rtol=1e-5, atol=1e-5
    )
    assert batch_norms(optimized) == left


def test_missing_packages_are_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxscript" else found(name)
    )
    with pytest.raises(NormLabError, match="ONNX needs onnxscript: pip install onnxscript"):
        check_onnx()
