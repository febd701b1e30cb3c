"""Layers without statistics: none, and the bounded functions proposed in place of normalization."""

import torch
from torch import Tensor, nn

from normlab.norms.base import Norm
from normlab.norms.bounded import scaled_erf, scaled_tanh
from normlab.norms.spec import LAYOUTS, norm_kind
from normlab.norms.tensors import narrow, wide


@norm_kind("none", causal_safe=True, layouts=tuple(LAYOUTS))
class NoNorm(Norm):
    """No norm: y = x, with the same check of the layout as in all others. The control.

    Shape: as `layout` says. No parameters.
    """

    def __init__(self, num_features: int, layout: str) -> None:
        super().__init__(num_features, layout)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return x


@norm_kind("dyt", causal_safe=True, has_shift=True, layouts=tuple(LAYOUTS))
class DyT(Norm):
    """Dynamic Tanh: a bounded function of each value by itself, in place of normalization.

        y = weight * tanh(alpha x) + bias

    Shape: as `layout` says, the same out as in.
    Parameters: alpha, one number; weight (C,), ones; bias (C,), zeros.

    Source: Zhu et al. 2025, Transformers without Normalization.

    Args:
        alpha: where the learned alpha starts.
        affine, bias: as in LayerNorm.
    """

    def __init__(
        self,
        num_features: int,
        layout: str,
        *,
        alpha: float = 0.5,
        affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, layout)
        self.add_affine(affine, bias)
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))

    def forward(self, x: Tensor) -> Tensor:
        if self.check(x):
            return self.aside(x)
        weight, bias = map(self.per_channel, self.gain_and_shift(x))
        return narrow(scaled_tanh(wide(x), self.alpha, weight, bias, channel=self._channel_dim), x)


@norm_kind("derf", causal_safe=True, has_shift=True, layouts=tuple(LAYOUTS))
class Derf(Norm):
    """Dynamic erf: a bounded function of each value by itself, in place of normalization.

        y = weight * erf(alpha x + shift) + bias

    Shape: as `layout` says, the same out as in.
    Parameters: alpha, one number; shift, one number, 0; weight (C,), ones; bias (C,), zeros.

    Source: Chen et al. 2025, Stronger Normalization-Free Transformers.

    Args:
        alpha: where the learned alpha starts.
        affine, bias: as in LayerNorm.
    """

    def __init__(
        self,
        num_features: int,
        layout: str,
        *,
        alpha: float = 0.5,
        affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, layout)
        self.add_affine(affine, bias)
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))
        self.shift = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        if self.check(x):
            return self.aside(x)
        weight, bias = map(self.per_channel, self.gain_and_shift(x))
        y = scaled_erf(wide(x), self.alpha, self.shift, weight, bias, channel=self._channel_dim)
        return narrow(y, x)
