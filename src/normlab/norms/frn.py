"""Filter response normalization (Singh & Krishnan 2020)."""

import torch
from torch import Tensor, nn

from normlab.norms.base import Norm, check_eps, is_channels_last, narrow, norm_kind, one_value, wide
from normlab.norms.strided import RMSAffine, Threshold


class ThresholdedUnit(nn.Module):
    """max(x, tau) with a learned threshold per channel, on (N, C, H, W)."""

    def __init__(self, tau: nn.Parameter):
        super().__init__()
        self.tau = tau

    def forward(self, x: Tensor) -> Tensor:
        return narrow(Threshold.apply(wide(x), self.tau[:, None, None]), x)


@norm_kind("frn", scaled=True, has_shift=True, layouts=("NCHW",))
class FilterResponseNorm(Norm):
    """max(weight * x / sqrt(mean of x² over H, W + eps) + bias, tau): the threshold tau (C,) is part of the norm.

    The paper learns eps for 1x1 maps, where one value per statistic leaves only its sign; those are refused here.
    """

    def __init__(self, num_features: int, layout: str, eps: float = 1e-5):
        super().__init__(num_features, layout)
        self.eps = check_eps(eps)
        self.add_affine()
        self.tau: nn.Parameter | None = nn.Parameter(torch.zeros(num_features))

    def take_activation(self) -> nn.Module:
        """Takes the thresholded unit out of the norm, for a block that applies it later, such as after its sum."""
        if self.tau is None:
            raise RuntimeError("the thresholded unit has been taken already")
        unit = ThresholdedUnit(self.tau)
        self.tau = None
        return unit

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        if x.shape[2] * x.shape[3] == 1:
            raise one_value("frn", "use larger images, fewer strides or norm=layernorm")
        h = wide(x)
        if is_channels_last(x):
            n, c, height, width = x.shape
            rows = h.permute(0, 2, 3, 1).view(n, height * width, c)
            y = RMSAffine.apply(rows, self.weight, self.bias, 1, self.eps)
            y = y.view(n, height, width, c).permute(0, 3, 1, 2)
        else:
            rows = h.contiguous().flatten(2)
            y = RMSAffine.apply(rows, self.weight[:, None], self.bias[:, None], 2, self.eps).view(
                x.shape
            )
        return narrow(y if self.tau is None else Threshold.apply(y, self.tau[:, None, None]), x)
