"""What every norm shares: the check of the layout, the dtype of its state, and eps."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.fx.proxy import TraceError

from normlab.errors import NormLabError, choices
from normlab.norms import kernels
from normlab.norms.leaf import Leaf
from normlab.norms.spec import LAYOUTS, MAP_LAYOUTS
from normlab.norms.unusual import goes_with, in_one_precision, without_values

_FLOAT = torch.float32


class Norm(Leaf):
    """A layer over `num_features` channels of a stated layout.

    The output has the shape, layout and dtype of the input. Parameters and buffers stay in float32
    under `.half()` and `.bfloat16()`, so that statistics are accumulated and applied in float32
    whatever the input; `.double()` takes them along.

    `kernel=` in the text of a layer is what float32 and bfloat16 on the CPU run by: see
    normlab.norms.kernels.

    A subclass calls `add_affine` if it has gain and shift, and starts `forward` with

        if self.check(x):
            return self.aside(x)

    Args:
        num_features: the number of channels C.
        layout: `NC` (N, C), `NCL` (N, C, L), `NCHW` (N, C, H, W), `NCDHW` (N, C, D, H, W) or
            `NTC` (N, T, C).

    Raises:
        NormLabError: fewer than 1 channel, an unknown layout.
    """

    weight: Tensor | None
    bias: Tensor | None

    _has_kernels = False  # whether a kernel in C may do the norm
    _left_out = ""  # what of gain and shift the options leave out

    def __init__(self, num_features: int, layout: str) -> None:
        super().__init__()
        if isinstance(num_features, Sequence):
            raise NormLabError(
                f"{type(self).__name__} takes one number of channels, not {tuple(num_features)}: "
                "several sizes are for layernorm and rmsnorm."
            )
        if num_features < 1:
            raise NormLabError(f"num_features must be at least 1, not {num_features}.")
        if layout not in LAYOUTS:
            raise choices("layout", layout, LAYOUTS)
        self.num_features = num_features
        self.layout = layout
        self._ndim = LAYOUTS[layout]
        self._channel_dim = self._ndim - 1 if layout == "NTC" else 1
        self._is_over_maps = layout in MAP_LAYOUTS

    def check(self, x: Tensor) -> bool:
        """Whether `x` is unusual: without values, or of another precision than the parameters.

        What `forward` gives for such an input is `aside(x)`.

        Raises:
            NormLabError: another layout, number of channels or device, or whole numbers.
        """
        try:
            fits = x.ndim == self._ndim and x.shape[self._channel_dim] == self.num_features
        except TraceError:
            raise NormLabError(
                f"torch.fx cannot trace through {type(self).__name__}: trace the model around it, "
                "in which it is a leaf."
            ) from None
        if not fits:
            raise NormLabError(
                f"{type(self).__name__} over {self.num_features} channels was given a tensor of "
                f"shape {tuple(x.shape)}: pass one of layout {self.layout} with "
                f"{self.num_features} channels."
            )
        weight = self._parameters.get("weight")
        if weight is not None and x.dtype is weight.dtype is _FLOAT and x.is_cpu and weight.is_cpu:
            return x.numel() == 0  # which saves half the time of what follows
        if not x.dtype.is_floating_point:
            raise NormLabError(
                "norms take floating point numbers, not "
                f"{str(x.dtype).removeprefix('torch.')}: pass x.float()."
            )
        state = self.state()
        if state is None:
            return x.numel() == 0
        if state.device != x.device:
            raise NormLabError(
                f"{type(self).__name__} lies on {state.device} and was given a tensor on "
                f"{x.device}: move one of them by .to(device)."
            )
        return x.numel() == 0 or not goes_with(x.dtype, state.dtype)

    def state(self) -> Tensor | None:
        """A tensor of the layer's, for its dtype and device; None where it has none."""
        for tensors in (self._parameters, self._buffers):
            for tensor in tensors.values():
                if tensor is not None and tensor.is_floating_point():
                    return tensor
        return None

    def aside(self, x: Tensor) -> Tensor:
        """The output for an unusual input, as `check` has found it."""
        if x.numel():
            return in_one_precision(self, x)
        self.count_without_values(x)
        return without_values(self, x)

    def count_without_values(self, x: Tensor) -> None:
        """What a batch without values leaves behind: nothing, in most norms."""

    def add_affine(self, affine: bool = True, bias: bool = True, *, shift: bool = True) -> None:
        """Adds the parameters `weight` (C,), all ones, and with `shift` also `bias` (C,), zeros.

        What the options `affine` and `bias` leave out is None: both, and the bias alone.
        """
        shape, shift = self.parameter_shape(), shift and bias and affine
        self.register_parameter("weight", nn.Parameter(torch.ones(shape)) if affine else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros(shape)) if shift else None)
        if not (affine and bias):
            self._left_out = "affine=False" if not affine else "bias=False"

    def parameter_shape(self) -> tuple[int, ...]:
        """That of gain and shift."""
        return (self.num_features,)

    def gain(self, x: Tensor) -> Tensor:
        """`weight`, or ones for `x` in its place."""
        # nn.Module looks long for a parameter under its name.
        weight: Tensor | None = self._parameters.get("weight")
        if weight is None:
            weight = self.weight  # a buffer, or what a parametrization makes
        if weight is not None:
            return weight
        dtype = torch.promote_types(x.dtype, torch.float32)
        return torch.ones(self.parameter_shape(), dtype=dtype, device=x.device)

    def gain_and_shift(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`weight` and `bias`, or ones and zeros in the place of what is None."""
        weight = self.gain(x)
        bias: Tensor | None = self._parameters.get("bias")
        if bias is None:
            bias = self.bias
        return weight, torch.zeros_like(weight) if bias is None else bias

    def per_channel(self, parameter: Tensor) -> Tensor:
        """A (C,) tensor, shaped to broadcast against an input: (C, 1, 1) for NCHW, (C,) for NTC."""
        trailing = self._ndim - 1 - self._channel_dim
        return parameter.view(-1, *[1] * trailing) if trailing else parameter

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Norm":
        """What `.to()`, `.half()` and `.cuda()` go through: a cast never goes below float32."""

        def at_least_float32(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            if moved.is_floating_point() and moved.dtype.itemsize < 4 <= tensor.dtype.itemsize:
                return tensor.to(moved.device)
            return moved

        super()._apply(at_least_float32, recurse)  # type: ignore[no-untyped-call]
        return self

    def extra_repr(self) -> str:
        kernel = f", kernel={kernels.name()}" if self._has_kernels else ""
        left_out = f", {self._left_out}" if self._left_out else ""
        return f"{self.num_features}, layout={self.layout}{kernel}{left_out}"


def check_eps(eps: float) -> float:
    """`eps`; raises NormLabError unless it is positive."""
    if not eps > 0:
        raise NormLabError(f"eps must be positive, not {eps}.")
    return eps


def one_value(name: str, instead: str) -> NormLabError:
    """The error for a statistic over one value, which is undefined or throws the input away."""
    return NormLabError(
        f"{name} has one value per statistic on this input, which leaves nothing of it: {instead}."
    )
