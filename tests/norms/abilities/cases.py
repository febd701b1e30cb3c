"""Every kind, layout and memory format that make_norm offers, and torch's layer beside it."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from normlab.norms import KINDS, make_norm
from normlab.norms.spec import MAP_LAYOUTS

CHANNELS = 8
SHAPES = {
    "NC": (4, CHANNELS),
    "NTC": (4, 3, CHANNELS),
    "NCL": (4, CHANNELS, 3),
    "NCHW": (4, CHANNELS, 3, 2),
    "NCDHW": (4, CHANNELS, 2, 3, 2),
}
FORMATS = {
    "": torch.contiguous_format,
    "channels_last": torch.channels_last,
    "channels_last_3d": torch.channels_last_3d,
}
OF_LAYOUT = {"NCHW": ("", "channels_last"), "NCDHW": ("", "channels_last_3d")}

# Options that keep a layer small, or that take another path through the code.
OPTIONS = {"groupnorm": {"num_groups": 2}, "causal_batchnorm": {"max_positions": 4}}
VARIANTS = {"batchnorm, ghost batches": ("batchnorm", {"ghost_batch": 2})}


class Case(NamedTuple):
    """A layer and how its input lies in memory.

    kind is a name in KINDS or in VARIANTS; memory_format is empty where there is one only; with
    of_torch, torch's layer stands in the place of ours.
    """

    kind: str
    layout: str
    memory_format: str = ""
    of_torch: bool = False

    def __str__(self) -> str:
        words = [self.kind, self.layout, self.memory_format, "torch" if self.of_torch else ""]
        return "-".join(word for word in words if word).replace(", ", "-").replace(" ", "-")

    @property
    def twin(self) -> "Case | None":
        """The same with torch's layer, None where torch has none."""
        other = self._replace(of_torch=True)
        return None if _of_torch(other) is None else other

    @property
    def stateful(self) -> bool:
        """Whether train mode changes buffers."""
        return "batch" in self.kind


def _cases() -> list[Case]:
    found = []
    for name in [*KINDS, *VARIANTS]:
        for layout in KINDS[VARIANTS.get(name, (name, {}))[0]].layouts:
            formats = OF_LAYOUT.get(layout, ("",))
            found += [Case(name, layout, memory_format) for memory_format in formats]
    return found


CASES = _cases()


def new(case: Case) -> nn.Module:
    """A layer as it is built."""
    layer = _of_torch(case) if case.of_torch else _of_ours(case)
    assert layer is not None
    return layer


def build(case: Case, seed: int = 7) -> nn.Module:
    """A layer in float32 and train mode, its parameters and running statistics those of training.

    Of two builds, one with our layer and one with torch's, the state is the same.
    """
    layer = new(case)
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in sorted(layer.state_dict(keep_vars=True).items()):
        if name.endswith("num_batches_tracked"):
            tensor.fill_(200)  # the warm-up of Batch Renormalization is over
        else:
            noise = torch.rand(tensor.shape, generator=generator)
            tensor.data.add_(noise if tensor.ndim else noise / 2)
    return layer


def example(case: Case, seed: int = 0, batch: int | None = None) -> Tensor:
    """An input in float32, off centre, its channels scaled differently."""
    generator = torch.Generator().manual_seed(seed)
    _, *rest = SHAPES[case.layout]
    x = torch.randn(SHAPES[case.layout][0] if batch is None else batch, *rest, generator=generator)
    spread = torch.linspace(0.5, 2, CHANNELS)
    if case.layout not in ("NC", "NTC"):
        spread = spread.view(-1, *[1] * (x.ndim - 2))
    x = x * spread + spread / 2
    return x.contiguous(memory_format=FORMATS[case.memory_format])


def _of_ours(case: Case) -> nn.Module:
    kind, options = VARIANTS.get(case.kind, (case.kind, OPTIONS.get(case.kind, {})))
    return make_norm(kind, CHANNELS, case.layout, **options)


class OfTransposed(nn.Module):
    """torch's layer, which wants (N, C, T), over (N, T, C)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.transpose(1, 2)).transpose(1, 2)


def _of_torch(case: Case) -> nn.Module | None:
    maps = case.layout in MAP_LAYOUTS
    dims = {"NCHW": 2, "NCDHW": 3}.get(case.layout, 1)
    match case.kind:
        case "none":
            return nn.Identity()
        case "batchnorm":
            layer = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[dims - 1](CHANNELS)
        case "groupnorm":
            layer = nn.GroupNorm(2, CHANNELS)
        case "instancenorm":
            kinds = nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d
            layer = kinds[dims - 1](CHANNELS, affine=True)
        case "layernorm" | "channel_layernorm" if not maps:
            return nn.LayerNorm(CHANNELS)
        case "layernorm":
            layer = nn.GroupNorm(1, CHANNELS)
        case "rmsnorm" if not maps:
            return nn.RMSNorm(CHANNELS, eps=1e-5)
        case _:
            return None
    return OfTransposed(layer) if case.layout == "NTC" else layer
