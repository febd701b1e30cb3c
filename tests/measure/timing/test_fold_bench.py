"""Both sides of `normlab bench fold` compute the same, one with and one without batch norms."""

import shutil

import pytest
import torch
from torch import nn

from normlab.measure.timing import fold
from normlab.measure.timing.harness import compare


def batch_norms(model):
    return sum(hasattr(module, "running_mean") for module in model.modules())


@pytest.mark.parametrize("model", ["resnet8", "mobilenet_v2"])
def test_one_side_has_the_batch_norms_and_the_other_none(model):
    folded, given = fold.pair(model)
    assert batch_norms(folded) == 0 and batch_norms(given) > 6
    assert not given.training and not folded.training
    again = fold.pair(model)[1]
    assert again is not given  # a cell that changes the memory format changes it for no other


@pytest.mark.parametrize("mode", [*fold.EAGER, *fold.RUNTIME])
def test_sides_compute_the_same_from_the_same_layout(mode, tmp_path):
    if mode in fold.RUNTIME:
        pytest.importorskip("onnxruntime")
    with torch.no_grad():
        folded, given, twin = fold._calls("resnet8", 2, mode, "cpu", tmp_path)
        assert torch.equal(twin(), given()) and twin() is not given()
        torch.testing.assert_close(folded(), given(), rtol=1e-4, atol=1e-4)
    if mode in fold.EAGER:
        formats = {
            call.func.conv.weight.is_contiguous(memory_format=torch.channels_last)
            for call in (folded, given)
        }
        assert formats == {mode == "channels_last"}


def test_a_cell_that_cannot_run_says_so(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    asked = []

    def measure(model, batch, mode, device, quick):
        asked.append(mode)
        return compare(
            lambda: sum(range(2000)), lambda: sum(range(2000)), rounds=2, min_seconds=1e-4
        )

    monkeypatch.setattr(fold, "measure", measure)
    rows = fold.run(quick=True)
    (skipped,) = [row for row in rows if "skipped" in row]
    assert (
        skipped["mode"] == "compiled"
        and "C++ compiler" in skipped["skipped"]
        and "compiled" not in asked
    )
    for row in rows:
        assert row["benchmark"] == "fold" and (row["void"] if row is skipped else row["ratio"] > 0)


def test_a_batch_norm_that_stays_ends_the_benchmark(monkeypatch):
    stays = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3))
    monkeypatch.setattr(fold, "build", lambda model: stays)
    with pytest.raises(AssertionError, match="stays"):
        fold.pair("one that no other test asks for")
