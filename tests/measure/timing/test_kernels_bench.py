"""What `normlab bench kernels` times is what its rows say."""

import json

import pytest

from normlab.claims.run.benchmarks import run_benchmark
from normlab.errors import NormLabError
from normlab.measure.timing import kernels as bench
from normlab.measure.timing.harness import compare, thread_clock
from normlab.norms import kernels
from normlab.norms.kernels import library

built = pytest.mark.skipif(not library._load().functions, reason="no kernels in C run here")


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(bench, "ROWS", ((1, 16), (4, 32)))
    monkeypatch.setattr(bench, "MAPS", ((4, 8, 4, 4),))
    monkeypatch.setattr(bench, "HEIGHTS", (1, 4, 9))
    monkeypatch.setattr(bench, "WIDTHS", (16, 40))
    monkeypatch.setattr(bench, "IN_MODELS", ("batchnorm", "rmsnorm", bench.GHOST))
    own = bench.compare_until_valid
    # In so short a time the control is seldom valid, and each cell would be timed three times.
    shorter = {"rounds": 2, "min_seconds": 1e-6, "attempts": 1}
    monkeypatch.setattr(
        bench, "compare_until_valid", lambda *sides, **timing: own(*sides, **(timing | shorter))
    )


@built
@pytest.mark.usefixtures("small")
def test_every_cell_has_a_row_with_and_without_kernels(tmp_path):
    rows = run_benchmark("kernels", quick=True, path=tmp_path / "bench.jsonl")
    assert (
        rows[0].items() <= json.loads((tmp_path / "bench.jsonl").read_text().split("\n")[0]).items()
    )
    of_rows = [row for row in rows if row["baseline"] == "layernorm, torch.nn"]
    assert len(of_rows) == 2 * 2 * 2 * (2 * 2 + 1)  # sizes, dtypes, modes: kinds both ways, floor
    assert sum(row["subject"] == "floor" for row in of_rows) == 2 * 2 * 2
    one_hand = [row for row in rows if row["baseline"] == "layernorm, ours"]
    assert len(one_hand) == 2 * 2 * 2 * 2  # heights, widths, dtypes, modes
    of_maps = [row for row in rows if row["baseline"] == "batchnorm, ours without kernels"]
    assert len(of_maps) == 2 * 2 * 6 * 2  # formats, dtypes, norms
    steps = [row for row in rows if row["mode"] == "training step"]
    assert [(row["shape"], row["kind"]) for row in steps] == [
        *[("plaincnn6", kind) for kind in bench.IN_MODELS] * 2,
        *[("resnet8", kind) for kind in bench.IN_MODELS] * 2,
        ("transformer2", "rmsnorm"),
    ]
    for row in [*of_rows, *of_maps]:
        assert row["kernel"] in (kernels.name(), "torch")
    assert {row["kernel"] for row in rows} == {kernels.name(), "torch"}
    assert all(row["benchmark"] == "kernels" and row["ratio"] > 0 for row in rows)


def test_without_kernels_there_is_nothing_to_time(tmp_path):
    place = tmp_path / "bench.jsonl"
    with kernels.without_kernels(), pytest.raises(NormLabError, match="no kernels in C run here"):
        run_benchmark("kernels", quick=True, path=place)
    assert not place.exists()


def test_without_kernels_means_the_backward_too():
    seen = []
    bench.without(lambda: seen.append(kernels.name()))()
    assert seen == ["torch"]


def test_a_twin_is_the_control():
    calls = []
    compare(
        lambda: calls.append("subject"),
        lambda: calls.append("baseline"),
        rounds=2,
        min_seconds=1e-6,
        clock=thread_clock,
        twin=lambda: calls.append("twin"),
    )
    assert set(calls) == {"subject", "baseline", "twin"}
