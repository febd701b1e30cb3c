"""What `normlab bench norms` times is what its rows say, and every implementation of a kind
computes the same."""

import json
import sys
import types
from itertools import product

import pytest
import torch

from normlab.claims.run.benchmarks import run_benchmark
from normlab.measure.timing import norms, steps
from normlab.measure.timing.layers import IMPLEMENTATIONS, Cell, build, call, copy
from normlab.norms import KINDS
from normlab.norms.formulas import reference

SHAPES = ((6, 32), (2, 5, 32), (3, 16, 4, 4))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "kind", ["batchnorm", "layernorm", "channel_layernorm", "groupnorm", "instancenorm", "rmsnorm"]
)
def test_every_implementation_computes_its_kind(kind, shape):
    cell = Cell(shape)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(3)) * 2 + 1
    found = []
    for implementation in IMPLEMENTATIONS:
        layer = build(kind, implementation, cell, backend="aot_eager")
        if layer is None:
            continue
        found.append(implementation)
        parameters = {"weight": torch.ones(cell.channels), "bias": torch.zeros(cell.channels)}
        running = {
            "running_mean": torch.zeros(cell.channels),
            "running_var": torch.ones(cell.channels),
        }
        running["num_batches_tracked"] = torch.tensor(0)
        options = {"num_groups": 8} if kind == "groupnorm" else {}
        more = {"running": running} if kind == "batchnorm" else {}
        want = reference(kind, x.double(), cell.layout, parameters, **options, **more)
        torch.testing.assert_close(layer(x).double(), want, atol=1e-5, rtol=1e-5)
        if kind == "batchnorm":
            held = {name.rpartition(".")[2]: value for name, value in layer.named_buffers()}
            torch.testing.assert_close(
                held["running_var"].flatten().double(), running["running_var"].double()
            )
    assert "ours" in found or (kind, cell.layout) == ("instancenorm", "NC")
    if kind in ("layernorm", "rmsnorm"):
        assert found == ["ours", "torch.nn", "hand-written", "compiled"]


def test_modes_give_gradients_statistics_or_neither():
    cell = Cell((8, 4, 4, 4), memory_format="channels_last")
    x = cell.tensor()
    assert x.is_contiguous(memory_format=torch.channels_last) and torch.equal(x, cell.tensor())
    layer = build("batchnorm", "torch.nn", cell)
    gradients = call(layer, x, "forward_backward")()
    assert [g.shape for g in gradients] == [x.shape, (4,), (4,)]
    before = layer.running_mean.clone()
    assert not call(layer, x, "evaluation")().requires_grad and torch.equal(
        layer.running_mean, before
    )
    assert not call(layer, x, "forward")().requires_grad and not torch.equal(
        layer.running_mean, before
    )
    assert torch.equal(copy(x)(), x) and copy(x)().data_ptr() != x.data_ptr()


def test_bfloat16_stays_bfloat16():
    for implementation in ("ours", "torch.nn", "hand-written"):
        cell = Cell((4, 16), "bfloat16")
        assert build("layernorm", implementation, cell)(cell.tensor()).dtype == torch.bfloat16


def test_grid_has_what_was_asked_for_and_ends_where_memory_does():
    for device, last in (("cpu", 2**24), ("cuda", 2**29)):
        cells = list(norms.grid(device, quick=False))
        assert {cell.dtype for cell in cells} == {"float32", "bfloat16"} and max(
            c.values for c in cells
        ) <= last
        maps = [cell for cell in cells if cell.layout == "NCHW"]
        assert {8, 256} <= {cell.shape[2] for cell in maps}
        assert {cell.memory_format for cell in maps} == {"channels_first", "channels_last"}
        assert {cell.values for cell in maps} == {norms.VALUES[device][0]}
        sequences = {
            (cell.shape[0] * cell.shape[1], cell.shape[2]) for cell in cells if cell.layout == "NTC"
        }
        assert {(1, 256), (1, 8192), (65536, 256)} <= sequences
        assert ((65536, 8192) in sequences) == (device == "cuda")


@pytest.fixture
def tiny(monkeypatch):
    """The whole benchmark on cells of a few values, its clock in microseconds."""
    cells = [
        Cell((2, 32)),
        Cell((2, 4, 32), mode="forward"),
        Cell((2, 16, 4, 4), memory_format="channels_last"),
    ]
    monkeypatch.setattr(norms, "grid", lambda device, quick: iter(cells if device == "cpu" else ()))
    monkeypatch.setattr(norms, "VALUES", {"cpu": (2**13, 2**13)})
    monkeypatch.setattr(norms, "WIDTHS", (256, 1024))
    plain = norms.compare_until_valid
    shorter = {"rounds": 4, "min_seconds": 1e-6, "attempts": 1}
    monkeypatch.setattr(
        norms, "compare_until_valid", lambda s, b, **timing: plain(s, b, **{**timing, **shorter})
    )
    small = {
        "resnet_step": {"batch": 2, "size": 8, "width": 8},
        "transformer_step": {"batch": 2, "context": 4, "width": 8},
    }
    for name, less in small.items():
        step = getattr(steps, name)
        monkeypatch.setattr(
            norms, name, lambda *a, step=step, less=less, **given: step(*a, **{**given, **less})
        )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_rows_say_what_was_measured(tiny, tmp_path):
    path = tmp_path / "bench.jsonl"
    path.write_text('{"earlier": "row"}\n')
    threads = torch.get_num_threads()
    rows = run_benchmark("norms", quick=True, save=True, path=path)
    assert torch.get_num_threads() == threads
    earlier, *kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert earlier == {"earlier": "row"} and len(kept) == len(rows)
    for row in kept:
        assert row["benchmark"] == "norms" and row["ratio"] > 0 and row["threads"] == 1
        assert row["interval_low"] <= row["ratio"] <= row["interval_high"]
        assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
        assert row["void"] == (abs(row["control"] - 1) > 0.03) and row["attempts"] == 1
        assert row.keys() >= {
            "device",
            "torch",
            "measured",
            "code",
            "machine",
            "quick",
            "dtype",
            "mode",
            "shape",
            "cpu",
        }
    copied = {
        (row["kind"], row["subject"], row["layout"]) for row in kept if row["baseline"] == "copy"
    }
    alone = {*KINDS, "groupnorm1"} - {"syncbatchnorm"}  # which needs several processes
    assert {kind for kind, _, _ in copied} >= alone
    assert {("rmsnorm", one, "NTC") for one in ("ours", "torch.nn", "hand-written")} <= copied
    assert {row["baseline"] for row in kept} >= {
        "layernorm, torch.nn",
        "batchnorm, ours",
        "norm=none",
    }
    inside = {(row["kind"], row["shape"]) for row in kept if row["baseline"] == "norm=none"}
    assert inside == set(
        product(("batchnorm", "groupnorm", "layernorm", "rmsnorm"), ("resnet8", "transformer2"))
    )


def test_rows_of_models_say_the_size_that_was_timed(monkeypatch):
    built = []

    def step(model):
        def build(kind, implementation, *, batch, width, **others):
            built.append((model, batch, width))
            return lambda: None

        return build

    monkeypatch.setattr(norms, "resnet_step", step("resnet8"))
    monkeypatch.setattr(norms, "transformer_step", step("transformer2"))
    monkeypatch.setattr(norms, "measure", lambda *a: None)
    monkeypatch.setattr(norms, "row_of", lambda *a: {})
    rows = list(norms.inside_models("cpu", True))
    assert {(row["shape"], row["batch"], row["width"]) for row in rows} == set(built)
    assert len(set(built)) == 2


def test_compiled_cells_are_few_on_a_cpu_and_none_quick():
    def cells(device, quick):
        asked = [
            cell
            for cell in norms.grid(device, quick)
            if norms.worthwhile("layernorm", "compiled", cell, quick)
        ]
        return len(asked)

    assert cells("cpu", False) == 4 and cells("cpu", True) == 0 and cells("cuda", False) > 100


def test_steps_swap_the_norm_and_nothing_else(monkeypatch):
    seen = []
    monkeypatch.setattr(steps, "training_step", lambda model, x, y: seen.append((model, x, y)))
    for implementation in ("ours", "torch.nn"):
        steps.resnet_step("groupnorm", implementation, 2, 8, 8, "channels_last", "cpu")
        steps.transformer_step("rmsnorm", implementation, 2, 4, 8, "cpu")
    for (one, x, y), (other, x2, y2) in (seen[::2], seen[1::2]):
        assert torch.equal(x, x2) and torch.equal(y, y2)
        torch.testing.assert_close(one(x), other(x2))
        assert {
            type(m).__module__.split(".")[0] for m in one.modules() if "Norm" in type(m).__name__
        } == {"normlab"}
        assert {
            type(m).__module__.split(".")[0] for m in other.modules() if "Norm" in type(m).__name__
        } == {"torch"}


def test_a_step_is_whole():
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3)
    before = model.weight.clone()
    steps.training_step(model, torch.randn(5, 4), torch.randint(3, (5,)))()
    assert model.weight.grad is not None and not torch.equal(model.weight, before)


def test_liger_is_asked_for_on_a_gpu_only(monkeypatch):
    made = []
    transformers = types.ModuleType("liger_kernel.transformers")
    for name in ("LigerRMSNorm", "LigerLayerNorm"):

        def layer(width, eps, name=name):
            made.append((name, width, eps))
            return torch.nn.Identity()

        setattr(transformers, name, layer)
    package = types.ModuleType("liger_kernel")
    package.transformers, package.__spec__ = transformers, types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "liger_kernel", package)
    monkeypatch.setitem(sys.modules, "liger_kernel.transformers", transformers)
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, *_: self)
    assert build("rmsnorm", "liger", Cell((4, 32))) is None
    assert build("rmsnorm", "liger", Cell((4, 32), device="cuda")) is not None
    assert build("layernorm", "liger", Cell((2, 4, 16), device="cuda")) is not None
    assert build("batchnorm", "liger", Cell((4, 32), device="cuda")) is None
    assert made == [("LigerRMSNorm", 32, 1e-5), ("LigerLayerNorm", 16, 1e-5)]
