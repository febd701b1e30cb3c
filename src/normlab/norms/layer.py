"""Layer norm (Ba et al. 2016), over everything in a sample or over the channels of each position."""

import torch.nn.functional as F
from torch import Tensor

from normlab.errors import NormLabError
from normlab.norms.base import (
    Norm,
    check_eps,
    for_kernel,
    is_channels_last,
    narrow,
    norm_kind,
    one_value,
    wide,
)
from normlab.norms.strided import ChannelNorm


def check_channels(norm: Norm) -> None:
    """Statistics over the channels of one position need more than one of them."""
    if norm.num_features == 1 and norm.layout != "NCHW":
        raise NormLabError(
            f"{type(norm).__name__} over 1 channel has one value per statistic: use norm=none there."
        )


@norm_kind("layernorm", centred=True, scaled=True, causal_safe=True, has_shift=True)
class LayerNorm(Norm):
    """NCHW: statistics over (C, H, W), affine per channel, which is GroupNorm with one group. NC, NTC: over C."""

    def __init__(self, num_features: int, layout: str, eps: float = 1e-5):
        super().__init__(num_features, layout)
        check_channels(self)
        self.eps = check_eps(eps)
        self.add_affine()

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        h = for_kernel(x, self.weight)
        if self.layout != "NCHW":
            return narrow(
                F.layer_norm(h, (self.num_features,), self.weight, self.bias, self.eps), x
            )
        if x[0].numel() == 1:
            raise one_value("layernorm", "use larger images, more channels or norm=none")
        if not is_channels_last(x):
            return narrow(F.group_norm(h, 1, self.weight, self.bias, self.eps), x)
        # A sample is one row of memory; weight and bias are repeated at every pixel of it.
        pixels = x.shape[2] * x.shape[3]
        rows = h.permute(0, 2, 3, 1).flatten(1)
        weight, bias = (p.expand(pixels, -1).reshape(-1) for p in (self.weight, self.bias))
        y = F.layer_norm(rows, weight.shape, weight, bias, self.eps)
        return narrow(y.view(len(x), x.shape[2], x.shape[3], -1).permute(0, 3, 1, 2), x)


@norm_kind("channel_layernorm", centred=True, scaled=True, causal_safe=True, has_shift=True)
class ChannelLayerNorm(Norm):
    """Statistics over C at each pixel or token, as in ConvNeXt (Liu et al. 2022); on NC and NTC plain layer norm."""

    def __init__(self, num_features: int, layout: str, eps: float = 1e-5):
        super().__init__(num_features, layout)
        if num_features == 1:
            raise NormLabError(
                "channel_layernorm over 1 channel has one value per statistic: use norm=none there."
            )
        self.eps = check_eps(eps)
        self.add_affine()

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        if self.layout == "NCHW" and not is_channels_last(x):
            flat = wide(x).contiguous().flatten(2)
            return narrow(
                ChannelNorm.apply(flat, self.weight[:, None], self.bias[:, None], self.eps).view(
                    x.shape
                ),
                x,
            )
        h = for_kernel(x, self.weight)
        if self.layout == "NCHW":
            h = h.permute(0, 2, 3, 1)
        y = F.layer_norm(h, (self.num_features,), self.weight, self.bias, self.eps)
        return narrow(y.permute(0, 3, 1, 2) if self.layout == "NCHW" else y, x)
