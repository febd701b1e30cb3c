"""What every norm shares: the declared properties, the layout check and the dtype rules."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from normlab.errors import NormLabError, choices
from normlab.norms.registry import declared_kinds

LAYOUTS = {"NC": 2, "NCHW": 4, "NTC": 3}  # name -> number of dimensions
MAPS = torch.channels_last


@dataclass(frozen=True)
class NormSpec:
    """What a kind does with a training batch of sequences (of images, where it takes no sequences).

    The tests perturb other samples, other positions and the mode, and check each declaration.
    """

    centred: bool  # adding a constant to the input changes nothing
    scaled: bool  # multiplying the input by a positive constant changes nothing
    batch_dependent: bool  # a sample's output depends on the other samples
    train_eval_differ: bool
    causal_safe: bool  # a position's output depends on no later position of the sequence
    has_shift: bool  # learns a bias per channel, which makes that of a layer before it redundant
    layouts: tuple[str, ...]
    options: tuple[str, ...] = ()  # keywords of make_norm, the same as the fields in config.py


REGISTERED: dict[str, tuple[type["Norm"], NormSpec]] = {}


def norm_kind(
    kind: str,
    *,
    centred: bool = False,
    scaled: bool = False,
    batch_dependent: bool = False,
    train_eval_differ: bool = False,
    causal_safe: bool = False,
    has_shift: bool = False,
    layouts: tuple[str, ...] = tuple(LAYOUTS),
) -> Callable[[type["Norm"]], type["Norm"]]:
    """Makes a class the norm `kind`, and declares what it does: see NormSpec.

    Nothing else is needed: `norm=<kind>` takes its options, with their types and defaults, from the keywords of the
    class's `__init__`. The name has to be written out, since the configuration reads the file without running it.
    """

    def register(cls: type["Norm"]) -> type["Norm"]:
        options = tuple(name for name, _, _ in declared_kinds()[kind].options)
        declared = (
            centred,
            scaled,
            batch_dependent,
            train_eval_differ,
            causal_safe,
            has_shift,
            layouts,
        )
        REGISTERED[kind] = cls, NormSpec(*declared, options=options)
        return cls

    return register


class Norm(nn.Module):
    """A normalization layer over `num_features` channels of a stated layout: same shape, layout and dtype out as in.

    Parameters and buffers stay in float32 under `.half()` and `.bfloat16()`, so that statistics are accumulated and
    applied in float32 whatever the input; `.double()` takes them along.
    """

    def __init__(self, num_features: int, layout: str):
        super().__init__()
        if num_features < 1:
            raise NormLabError(f"num_features must be at least 1, not {num_features}.")
        if layout not in LAYOUTS:
            raise choices("layout", layout, LAYOUTS)
        self.num_features = num_features
        self.layout = layout
        self._ndim = LAYOUTS[layout]
        self._channel_dim = self._ndim - 1 if layout == "NTC" else 1

    def check(self, x: Tensor) -> None:
        """Raises NormLabError unless `x` has the stated layout and number of channels."""
        if x.ndim != self._ndim or x.shape[self._channel_dim] != self.num_features:
            raise NormLabError(
                f"{type(self).__name__} over {self.num_features} channels was given a tensor of shape "
                f"{tuple(x.shape)}: pass one of layout {self.layout} with {self.num_features} channels."
            )

    def add_affine(self, shift: bool = True) -> None:
        self.weight = nn.Parameter(torch.ones(self.num_features))
        if shift:
            self.bias = nn.Parameter(torch.zeros(self.num_features))

    def per_channel(self, parameter: Tensor) -> Tensor:
        """A (C,) parameter, shaped to broadcast against an input."""
        return parameter[:, None, None] if self.layout == "NCHW" else parameter

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Norm":
        def at_least_float32(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            if moved.is_floating_point() and moved.dtype.itemsize < 4 <= tensor.dtype.itemsize:
                return tensor.to(moved.device)
            return moved

        return super()._apply(at_least_float32, recurse)

    def extra_repr(self) -> str:
        return f"{self.num_features}, layout={self.layout}"


def wide(x: Tensor) -> Tensor:
    """`x` in float32 at least."""
    return x.float() if x.dtype.itemsize < 4 else x


def for_kernel(x: Tensor, parameter: Tensor) -> Tensor:
    """`x` as the native kernels take it: those of the CPU mix dtypes, those of CUDA want the parameters' own."""
    return x if x.dtype == parameter.dtype or not x.is_cuda else x.to(parameter.dtype)


def narrow(y: Tensor, x: Tensor) -> Tensor:
    """`y` in the dtype of `x`: autocast gives float32 from norms, and so does mixing dtypes."""
    return y if y.dtype == x.dtype else y.to(x.dtype)


def as_maps(x: Tensor, layout: str) -> Tensor:
    """(N, C) | (N, T, C) | (N, C, H, W) seen as (N, C, H, W): a sequence becomes a channels_last map of one row."""
    if layout == "NCHW":
        return x
    if layout == "NTC":
        return x.unsqueeze(1).permute(0, 3, 1, 2)
    return x[:, :, None, None]


def from_maps(y: Tensor, layout: str) -> Tensor:
    """The inverse of as_maps."""
    if layout == "NCHW":
        return y
    if layout == "NTC":
        return y.permute(0, 2, 3, 1).squeeze(1)
    return y[:, :, 0, 0]


def is_channels_last(x: Tensor) -> bool:
    """Whether maps lie in memory as (N, H, W, C); where both formats fit (C = 1, 1x1 maps), they do not."""
    return not x.is_contiguous() and x.is_contiguous(memory_format=MAPS)


def check_eps(eps: float) -> float:
    if not eps > 0:
        raise NormLabError(f"eps must be positive, not {eps}.")
    return eps


def one_value(name: str, instead: str) -> NormLabError:
    """The sentence for a statistic over a single value, which is either undefined or throws the input away."""
    return NormLabError(
        f"{name} has one value per statistic on this input, which leaves nothing of it: {instead}."
    )
