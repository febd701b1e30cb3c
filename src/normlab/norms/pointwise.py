"""Layers without statistics: none, and the bounded functions that were proposed in place of normalization."""

import torch
from torch import Tensor, nn

from normlab.norms.base import Norm, narrow, wide


class NoNorm(Norm):
    """The identity, with the same check of the layout."""

    def __init__(self, num_features: int, layout: str):
        super().__init__(num_features, layout)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return x


class DyT(Norm):
    """Dynamic Tanh (Zhu et al. 2025): weight * tanh(alpha x) + bias, alpha one learned number."""

    def __init__(self, num_features: int, layout: str, alpha: float = 0.5):
        super().__init__(num_features, layout)
        self.add_affine()
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        squashed = torch.tanh(wide(x) * self.alpha)
        return narrow(squashed * self.per_channel(self.weight) + self.per_channel(self.bias), x)


class Derf(Norm):
    """Dynamic erf (Chen et al. 2025): weight * erf(alpha x + shift) + bias, alpha and shift one learned number each."""

    def __init__(self, num_features: int, layout: str, alpha: float = 0.5):
        super().__init__(num_features, layout)
        self.add_affine()
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))
        self.shift = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        squashed = torch.erf(wide(x) * self.alpha + self.shift)
        return narrow(squashed * self.per_channel(self.weight) + self.per_channel(self.bias), x)
