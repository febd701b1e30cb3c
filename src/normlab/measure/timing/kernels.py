"""What the kernels in C are worth: norms of ours by them, against torch's and against ours without.

RMSNorm and LayerNorm of rows against `nn.LayerNorm`, beside them the floor, an autograd function
that computes nothing; RMSNorm against LayerNorm, by width, rows and dtype; norms of maps against
batch norm as it is without kernels; a training step of a network with kernels against the same step
without. Time is the thread's own, and the control another object like the baseline.

    normlab bench kernels --quick        2 minutes on one calm core; without --quick about 12
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from normlab.errors import NormLabError
from normlab.measure.timing.conditions import timing_conditions
from normlab.measure.timing.harness import Comparison, compare_until_valid, thread_clock
from normlab.measure.timing.layers import EPS, Cell, call
from normlab.measure.timing.norms import Row, row_of, subject, words
from normlab.measure.timing.steps import plain_step, resnet_step, transformer_step
from normlab.norms import kernels, make_norm
from normlab.norms.autograd_functions import Gradients, directly

ROWS = ((1, 512), (512, 64), (2048, 512), (4096, 1024), (128, 4096))
HEIGHTS, WIDTHS = (1, 64, 2048), (64, 512, 1024, 4096)  # of RMSNorm against LayerNorm
MOST = 2**22  # values of them
MAPS = ((64, 32, 16, 16), (128, 64, 8, 8), (128, 16, 32, 32))
DTYPES, FORMATS = ("float32", "bfloat16"), ("channels_last", "channels_first")
OF_MAPS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("batchnorm", {}),
    ("batchnorm", {"ghost_batch": 2}),
    ("groupnorm", {}),
    ("layernorm", {}),
    ("instancenorm", {}),
    ("rmsnorm", {}),
)
GHOST = "batchnorm ghost_batch=2"
IN_MODELS = ("batchnorm", "groupnorm", "layernorm", "rmsnorm", "instancenorm", GHOST)

Call = Callable[[], object]


def run(quick: bool = False) -> list[Row]:
    """All rows; with `quick` fewer sizes and short timings.

    Raises:
        NormLabError: no kernels run here, so that both sides would be the same.
    """
    if kernels.name() == "torch":
        raise NormLabError(
            "no kernels in C run here, so there is nothing to time: build them from these sources "
            "by `pip install -e .` with a compiler, and leave out NORMLAB_KERNELS=off."
        )
    rows: list[Row] = []
    with timing_conditions():
        rows += against_layer_norm(quick)
        rows += one_hand(quick)
        rows += against_batch_norm(quick)
        rows += training_steps(quick)
    return rows


def against_layer_norm(quick: bool) -> Iterator[Row]:
    """RMSNorm and LayerNorm, with kernels and without, and what computes nothing, over
    `nn.LayerNorm` of the same rows."""
    for shape, dtype, mode in product(
        ROWS[:3] if quick else ROWS, DTYPES, ("forward", "forward_backward")
    ):
        cell = Cell(shape, dtype, mode)
        x = cell.tensor()
        first, second = (_torch_layer_norm(cell) for _ in range(2))
        for kind in ("rmsnorm", "layernorm"):
            layer = call(make_norm(kind, cell.channels, cell.layout), x, mode)
            for one in (layer, without(layer)):
                timed = _measure(one, call(first, x, mode), call(second, x, mode), quick)
                named = {**subject(kind, "ours"), "baseline": "layernorm, torch.nn"}
                yield _row(timed, one is layer, {**words(cell), **named})
        floor = call(Floor(cell.channels), x, mode)
        timed = _measure(floor, call(first, x, mode), call(second, x, mode), quick)
        named = {**subject("none", "floor"), "baseline": "layernorm, torch.nn"}
        yield _row(timed, False, {**words(cell), **named})


def one_hand(quick: bool) -> Iterator[Row]:
    """RMSNorm over LayerNorm, both fused and by the same hand: the kernels in C of both."""
    sizes = product(HEIGHTS[:2] if quick else HEIGHTS, WIDTHS[:2] if quick else WIDTHS)
    for shape, dtype, mode in product(sizes, DTYPES, ("forward", "forward_backward")):
        cell = Cell(shape, dtype, mode)
        if cell.values > MOST:
            continue
        x = cell.tensor()
        kinds = ("rmsnorm", "layernorm", "layernorm")
        layers = (make_norm(kind, cell.channels, cell.layout) for kind in kinds)
        own, first, second = (call(layer, x, mode) for layer in layers)
        timed = _measure(own, first, second, quick)
        named = {**subject("rmsnorm", "ours"), "baseline": "layernorm, ours"}
        yield _row(timed, True, {**words(cell), **named})


def against_batch_norm(quick: bool) -> Iterator[Row]:
    """Norms of maps, with kernels and without, over our whole-batch norm without kernels."""
    for shape, memory_format, dtype in product(MAPS[:1] if quick else MAPS, FORMATS, DTYPES):
        cell = Cell(shape, dtype, "forward_backward", memory_format)
        x = cell.tensor()
        batch_norms = (make_norm("batchnorm", cell.channels) for _ in range(2))
        first, second = (without(call(layer, x, cell.mode)) for layer in batch_norms)
        for kind, options in OF_MAPS:
            layer = call(make_norm(kind, cell.channels, **options), x, cell.mode)
            for one in (layer, without(layer)):
                timed = _measure(one, first, second, quick)
                name = " ".join([kind, *(f"{key}={value}" for key, value in options.items())])
                named = {**subject(name, "ours"), "baseline": "batchnorm, ours without kernels"}
                yield _row(timed, one is layer, {**words(cell), **named})


def training_steps(quick: bool) -> Iterator[Row]:
    """A step of a plain CNN, a ResNet-8 and a transformer with kernels, over the same without."""
    images: dict[str, Any] = {"batch": 16, "size": 32, "width": 16}
    transformer = partial(transformer_step, batch=8, context=64, width=64)
    networks: list[tuple[str, str | None, Callable[..., Call]]] = [
        (model, one, partial(step, **images, memory_format=one))
        for model, step in (("plaincnn6", plain_step), ("resnet8", resnet_step))
        for one in FORMATS
    ]
    networks.append(("transformer2", None, transformer))
    for (model, memory_format, step), kind in product(networks, IN_MODELS[: 3 if quick else None]):
        if model == "transformer2" and kind not in ("layernorm", "rmsnorm"):
            continue
        options = {"ghost_batch": 2} if kind == GHOST else {}
        build = partial(step, kind.partition(" ")[0], "ours", device="cpu", options=options)
        first, second, third = (build() for _ in range(3))
        timed = _measure(first, without(second), without(third), quick, seconds=0.03)
        named = {
            **subject(kind, "ours"),
            "baseline": "the same without kernels",
            "shape": model,
            "memory_format": memory_format,
            "dtype": "float32",
            "mode": "training step",
        }
        yield _row(timed, True, named)


class Floor(nn.Module):
    """A layer that computes nothing: output and gradients are memory that is not written.

    What it takes is what autograd and Python take for a norm with one parameter. Values (..., C).
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            y: Tensor = _apply_nothing(x, self.weight)
            return y
        return torch.empty_like(x)


class _Nothing(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.empty_like(x)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Gradients:
        x, weight = ctx.saved_tensors
        return torch.empty_like(x), torch.empty_like(weight)


_apply_nothing = directly(_Nothing)


def without(function: Call) -> Call:
    """`function` without kernels, its backward too."""

    def plain() -> object:
        with kernels.without_kernels():
            return function()

    return plain


def _torch_layer_norm(cell: Cell) -> nn.Module:
    return nn.LayerNorm(cell.channels, EPS).to(getattr(torch, cell.dtype))


def _measure(
    one: Call, baseline: Call, twin: Call, quick: bool, seconds: float = 0.01
) -> Comparison:
    return compare_until_valid(
        one,
        baseline,
        rounds=8 if quick else 24,
        min_seconds=seconds / 2 if quick else seconds,
        clock=thread_clock,
        twin=twin,
    )


def _row(comparison: Comparison, with_kernels: bool, named: Row) -> Row:
    """As of `normlab bench norms`, with what the subject ran by."""
    kernel: dict[str, Any] = {} if with_kernels else {"kernel": "torch"}
    return {**row_of(comparison, "cpu"), **named, "benchmark": "kernels", **kernel}
