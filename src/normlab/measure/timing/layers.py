"""One norm in the implementations that are timed against one another, and what one call of it is.

`ours` is normlab's; `torch.nn` the library's own layer; `hand-written` the formula in plain tensor
operations, as a reader of a paper would type it; `compiled` the same through torch.compile, which
makes one kernel of it where it can; `liger` Liger's Triton kernels (Hsu et al. 2024), on a GPU
where they are installed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from normlab.norms import KINDS, make_norm

IMPLEMENTATIONS = ("ours", "torch.nn", "hand-written", "compiled", "liger")
MODES = ("forward", "forward_backward", "evaluation")
GROUPS, EPS = 8, 1e-5
FORMATS = {"channels_first": torch.contiguous_format, "channels_last": torch.channels_last}
# Past 8 shapes of one function dynamo gives up, unless each is kept apart; torch before 2.13
# cannot.
APART: dict[str, Any] = (
    {"isolate_recompiles": True}
    if "isolate_recompiles" in signature(torch.compile).parameters
    else {}
)
_ROWS = ("layernorm", "channel_layernorm", "rmsnorm")  # over the last axis of (N, C) and (N, T, C)
_AXES = {  # of the statistics of maps, for the kinds that are written by hand
    "batchnorm": (0, 2, 3),
    "layernorm": (1, 2, 3),
    "channel_layernorm": (1,),
    "groupnorm": (2, 3, 4),  # of x with its channels in groups
    "instancenorm": (2, 3),
    "rmsnorm": (1, 2, 3),
}


@dataclass(frozen=True)
class Cell:
    """One input, (N, C), (N, T, C) or (N, C, H, W), in float32 or bfloat16 on a device, and what
    is done with it."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    mode: str = "forward_backward"
    memory_format: str = "channels_first"
    device: str = "cpu"

    @property
    def layout(self) -> str:
        return {2: "NC", 3: "NTC", 4: "NCHW"}[len(self.shape)]

    @property
    def channels(self) -> int:
        return self.shape[2] if self.layout == "NTC" else self.shape[1]

    @property
    def values(self) -> int:
        return math.prod(self.shape)

    @property
    def name(self) -> str:
        """`64x1024 float32 forward`, and the memory format of maps."""
        words = ["x".join(map(str, self.shape)), self.dtype, self.mode]
        return " ".join(words + [self.memory_format] * (self.layout == "NCHW"))

    def tensor(self) -> Tensor:
        """Normal values, the same ones for each cell of this shape."""
        # Drawn on the CPU in float32, so that every dtype and device has the same values.
        x = torch.randn(self.shape, generator=torch.Generator().manual_seed(0))
        x = x.to(self.device, getattr(torch, self.dtype))
        return (
            x.contiguous(memory_format=FORMATS[self.memory_format]) if self.layout == "NCHW" else x
        )


def build(
    kind: str, implementation: str, cell: Cell, backend: str = "inductor"
) -> nn.Module | None:
    """`kind` for inputs of `cell`, on its device; None where there is no such implementation.

    `groupnorm1` is group norm with one group. Parameters have the dtype of the input, as in a model
    that was moved there, but for ours, which stay in float32.
    """
    if implementation == "ours":
        name, options = ("groupnorm", {"num_groups": 1}) if kind == "groupnorm1" else (kind, {})
        if cell.layout not in KINDS[name].layouts:
            return None
        return make_norm(name, cell.channels, cell.layout, **options).to(cell.device)
    found: Any = None
    if implementation == "torch.nn":
        found = _native(kind, cell)
    elif implementation in ("hand-written", "compiled"):
        found = _by_hand(kind, cell)
    elif implementation == "liger":
        found = _liger(kind, cell)
    if found is None:
        return None
    found = found.to(cell.device, getattr(torch, cell.dtype))
    if implementation == "compiled":
        # fullgraph: a break would be timed as if it were compiled.
        found = torch.compile(found, backend=backend, dynamic=False, fullgraph=True, **APART)
    return found  # type: ignore[no-any-return]


def _native(kind: str, cell: Cell) -> nn.Module | None:
    channels, layout = cell.channels, cell.layout
    whole = cell.shape[1:] if layout == "NCHW" else (channels,)
    layers: dict[str, Callable[[], nn.Module]] = {
        "layernorm": lambda: nn.LayerNorm(
            whole, EPS
        ),  # of maps over (C, H, W), with an affine map for each element
        "rmsnorm": lambda: nn.RMSNorm(whole, EPS),
        "channel_layernorm": lambda: (
            _Permuted(channels) if layout == "NCHW" else nn.LayerNorm(channels, EPS)
        ),
    }
    if layout != "NTC":  # torch.nn takes (N, C, T)
        layers["batchnorm"] = partial(
            nn.BatchNorm2d if layout == "NCHW" else nn.BatchNorm1d, channels, EPS
        )
        layers["groupnorm"] = partial(nn.GroupNorm, GROUPS, channels, EPS)
        layers["groupnorm1"] = partial(nn.GroupNorm, 1, channels, EPS)
    if layout == "NCHW":
        layers["instancenorm"] = partial(nn.InstanceNorm2d, channels, EPS, affine=True)
    return layers[kind]() if kind in layers else None


class _Permuted(nn.Module):
    """nn.LayerNorm over the channels of maps: there, and back."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, EPS)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # type: ignore[no-any-return]


def _by_hand(kind: str, cell: Cell) -> nn.Module | None:
    known = kind in _AXES if cell.layout == "NCHW" else kind in _ROWS
    return HandWritten(kind, cell.channels, maps=cell.layout == "NCHW") if known else None


class HandWritten(nn.Module):
    """(x - mean) / sqrt(variance + eps) * weight + bias, and without mean and bias for RMSNorm;
    in training only."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, kind: str, channels: int, maps: bool) -> None:
        super().__init__()
        self.axes = _AXES[kind] if maps else (-1,)
        self.groups = GROUPS if kind == "groupnorm" else 0
        self.centred = kind != "rmsnorm"
        self.running = kind == "batchnorm"
        shape = (channels, 1, 1) if maps else (channels,)
        self.weight = nn.Parameter(torch.ones(shape))
        if self.centred:
            self.bias = nn.Parameter(torch.zeros(shape))
        if self.running:
            self.register_buffer("running_mean", torch.zeros(shape))
            self.register_buffer("running_var", torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        h = x.unflatten(1, (self.groups, -1)) if self.groups else x
        if self.centred:
            mean = h.mean(self.axes, keepdim=True)
            h = h - mean
        variance = h.pow(2).mean(self.axes, keepdim=True)
        if self.running:
            # Unbiased, as running variances are: n / (n - 1).
            values = x.numel() // x.shape[1]
            self.running_mean.lerp_(mean.detach()[0], 0.1)
            self.running_var.lerp_(variance.detach()[0] * (values / (values - 1)), 0.1)
        y = h * torch.rsqrt(variance + EPS)
        y = y.flatten(1, 2) if self.groups else y
        return y * self.weight + self.bias if self.centred else y * self.weight


def _liger(kind: str, cell: Cell) -> nn.Module | None:
    if cell.device != "cuda" or cell.layout == "NCHW" or find_spec("liger_kernel") is None:
        return None
    from liger_kernel import transformers as liger

    layers = {"rmsnorm": "LigerRMSNorm", "layernorm": "LigerLayerNorm"}
    return getattr(liger, layers[kind])(cell.channels, eps=EPS) if kind in layers else None


def call(layer: nn.Module, x: Tensor, mode: str) -> Callable[[], object]:
    """One call of `layer` on `x`: without a graph, with the gradients of input and parameters,
    or at evaluation."""
    if mode != "forward_backward":
        layer.train(mode == "forward")

        def forward() -> object:
            with torch.no_grad():
                return layer(x)

        return forward
    # Gradients by autograd.grad: nothing is added up in .grad from call to call.
    point = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    gradient = torch.randn_like(x)
    wanted = [point, *layer.parameters()]
    return lambda: torch.autograd.grad(layer(point), wanted, gradient)


def copy(x: Tensor) -> Callable[[], object]:
    """Every value read and written once, into memory that is there: the least that a norm can
    do."""
    target = torch.empty_like(x)
    return lambda: target.copy_(x)
