"""Filter response normalization."""

from typing import Any

import torch
from torch import Tensor, nn

from normlab.norms.autograd_functions import Gradients, apply
from normlab.norms.base import Norm, check_eps, one_value
from normlab.norms.kernels.conditions import by_operations, wants_operations, watched
from normlab.norms.leaf import Leaf
from normlab.norms.spec import MAP_LAYOUTS, norm_kind
from normlab.norms.strided_rms import rms_affine
from normlab.norms.tensors import (
    as_maps,
    as_rows,
    from_maps,
    from_rows,
    is_channels_last,
    narrow,
    wide,
)

_threshold_backward = torch.ops.aten.threshold_backward.grad_input


class ThresholdedUnit(Leaf):
    """The thresholded linear unit of FilterResponseNorm by itself: max(x, tau).

    Shape: maps (N, C, *), in and out. Parameter: tau (C,).
    """

    def __init__(self, tau: nn.Parameter) -> None:
        super().__init__()
        self.tau = tau

    def forward(self, x: Tensor) -> Tensor:
        layout = {3: "NCL", 4: "NCHW", 5: "NCDHW"}[x.ndim]
        y = threshold(as_maps(wide(x), layout), self.tau)
        return narrow(from_maps(y, layout, x), x)


@norm_kind("frn", scaled=True, has_shift=True, layouts=MAP_LAYOUTS)
class FilterResponseNorm(Norm):
    """Filter response normalization with its thresholded linear unit.

        y = max(weight * x / sqrt(mean of x² over H, W + eps) + bias, tau)

    for each sample and channel by itself. The paper learns eps for maps of one pixel, where one
    value per statistic leaves only its sign; such maps are refused here.

    Shape: maps (N, C, *) as `layout` says, in and out.
    Parameters: weight (C,), ones; bias and tau (C,), zeros.

    Source: Singh & Krishnan 2020, Filter Response Normalization Layer: Eliminating Batch
    Dependence in the Training of Deep Neural Networks.

    Args:
        eps: added to the mean square.
        affine, bias: as in LayerNorm.
    """

    def __init__(
        self,
        num_features: int,
        layout: str,
        *,
        eps: float = 1e-5,
        affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, layout)
        self.eps = check_eps(eps)
        self.add_affine(affine, bias)
        self.tau: nn.Parameter | None = nn.Parameter(torch.zeros(num_features))

    def take_activation(self) -> nn.Module:
        """Takes the thresholded unit out of the norm, for a block that applies it after its sum."""
        if self.tau is None:
            raise RuntimeError("the thresholded unit has been taken already")
        unit = ThresholdedUnit(self.tau)
        self.tau = None
        return unit

    def forward(self, x: Tensor) -> Tensor:
        if self.check(x):
            return self.aside(x)
        maps = as_maps(x, self.layout)
        if maps.shape[2] * maps.shape[3] == 1:
            raise one_value("frn", "use larger images, fewer strides or norm=layernorm")
        h = wide(maps)
        weight, bias = self.gain_and_shift(x)
        if is_channels_last(maps):
            y = from_rows(rms_affine(as_rows(h), weight, bias, dim=1, eps=self.eps), maps)
        else:
            flat = h.contiguous().flatten(2)  # (N, C, H W)
            y = rms_affine(flat, weight[:, None], bias[:, None], dim=2, eps=self.eps)
            y = y.view(maps.shape)
        y = y if self.tau is None else threshold(y, self.tau)
        return narrow(from_maps(y, self.layout, x), x)


def threshold(x: Tensor, tau: Tensor) -> Tensor:
    """max(x, tau) of maps (N, C, H, W), tau (C,).

    As torch.maximum, whose backward on the CPU takes 40 times a copy. Where both are equal the
    gradient goes to tau, as that of ReLU goes to its zero.
    """
    tau = tau[:, None, None]
    if watched():
        return _threshold_operations(x, tau)
    y: Tensor = apply(_Threshold, x, tau)
    return y


def _threshold_operations(x: Tensor, tau: Tensor) -> Tensor:
    return torch.where((x > tau) | x.isnan(), x, tau)


class _Threshold(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, tau: Tensor) -> Tensor:
        ctx.save_for_backward(x, tau)
        return torch.maximum(x, tau)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Gradients:
        x, tau = ctx.saved_tensors
        if wants_operations(dy):
            wanted = ctx.needs_input_grad
            return tuple(by_operations(_threshold_operations, (x, tau), wanted, dy))
        dx = x - tau
        _threshold_backward(dy, dx, 0, grad_input=dx)
        return dx, (dy.sum((0, 2, 3)) - dx.sum((0, 2, 3))).view(tau.shape)
