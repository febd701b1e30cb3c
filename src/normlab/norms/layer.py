"""Layer norms: over everything in a sample, or over the channels of each position."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from normlab.errors import NormLabError
from normlab.norms.base import Norm, check_eps, one_value
from normlab.norms.elementwise import ElementwiseNorm, as_sample_rows, from_sample_rows
from normlab.norms.kernels.conditions import kernels_for, transformed
from normlab.norms.kernels.rows import layer_rows
from normlab.norms.kernels.sets import SetNorm, set_norm, set_operations
from normlab.norms.spec import LAYOUTS, norm_kind
from normlab.norms.strided import channel_norm
from normlab.norms.tensors import (
    as_maps,
    for_kernel,
    from_maps,
    from_rows,
    is_channels_last,
    narrow,
    wide,
)

LARGER = "use larger images, more channels or norm=none"


def refuse_one_channel(name: str, num_features: int) -> None:
    """Raises NormLabError for statistics over the channels of one position where there is one."""
    if num_features == 1:
        raise NormLabError(
            f"{name} over 1 channel has one value per statistic: use norm=none there."
        )


@norm_kind(
    "layernorm",
    centred=True,
    scaled=True,
    causal_safe=True,
    has_shift=True,
    layouts=tuple(LAYOUTS),
)
class LayerNorm(ElementwiseNorm):
    """Layer normalization: statistics of one sample alone, the same in train and eval mode.

        y = weight * (x - mean) / sqrt(variance + eps) + bias

    with mean and biased variance over (C, H, W) of maps, which is GroupNorm with one group, and
    over C of each position of (N, C) and (N, T, C). Weight and bias vary with the channel only;
    as LayerNorm((C, H, W)), with the sizes of a sample, it learns one for each value of it and
    takes its statistics over all of it, of (N, T, C) too. It then mixes positions.

    Shape: as `layout` says, the same out as in.
    Parameters: weight (C,) or of the sizes given, ones; bias likewise, zeros.

    Source: Ba, Kiros & Hinton 2016, Layer Normalization.

    Args:
        num_features: the number of channels C, or the sizes of a sample.
        eps: added to the variance.
        affine: False for no gain and no shift.
        bias: False for a gain without a shift.

    Raises:
        NormLabError: one value per statistic.
    """

    _has_kernels = True

    def __init__(
        self,
        num_features: int | Sequence[int],
        layout: str,
        *,
        eps: float = 1e-5,
        affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, layout)
        if self._is_over_positions:
            refuse_one_channel("LayerNorm", self.num_features)
        self.eps = check_eps(eps)
        self.add_affine(affine, bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.check(x):
            return self.aside(x)
        if self._is_over_positions:
            weight, bias = self.gain_and_shift(x)
            return _over_last(x, weight, bias, self.eps)
        if self.normalized_shape is not None:
            self.check_sizes(x)
            rows, gain, shift = as_sample_rows(x, self.layout, self.gain_and_shift(x))
            if rows.shape[1] == 1:
                raise one_value("layernorm", LARGER)
            return from_sample_rows(_over_last(rows, gain, shift, self.eps), self.layout, x)
        return from_maps(self._normalize_maps(as_maps(x, self.layout)), self.layout, x)

    def _normalize_maps(self, x: Tensor) -> Tensor:
        if x.shape[1:].numel() == 1:
            raise one_value("layernorm", LARGER)
        norm = SetNorm(1, self.num_features, self.eps)
        if transformed():  # of torch's group norm, forward mode takes no channels_last
            return set_operations(norm, x, self.weight, self.bias)[0]
        last = is_channels_last(x)
        if last and (kernels := kernels_for(x, self.weight, self.bias)):
            return set_norm(kernels, norm, x, self.weight, self.bias)[0]
        h = wide(x) if self.weight is None else for_kernel(x, self.weight)
        if not last:
            return narrow(F.group_norm(h, 1, self.weight, self.bias, self.eps), x)
        # A sample is one row of memory; weight and bias are repeated at every pixel of it.
        pixels = x.shape[2] * x.shape[3]
        rows = h.permute(0, 2, 3, 1).flatten(1)  # (N, H W C)
        gain, shift = self.gain_and_shift(x)
        weight = gain.expand(pixels, -1).reshape(-1)
        bias = shift.expand(pixels, -1).reshape(-1)
        y = F.layer_norm(rows, weight.shape, weight, bias, self.eps)
        return narrow(from_rows(y, x), x)


@norm_kind(
    "channel_layernorm",
    centred=True,
    scaled=True,
    causal_safe=True,
    has_shift=True,
    layouts=tuple(LAYOUTS),
)
class ChannelLayerNorm(Norm):
    """Layer normalization over the channels of each pixel or token by itself.

        y = weight * (x - mean) / sqrt(variance + eps) + bias

    with mean and biased variance over C. On (N, C) and (N, T, C) it is LayerNorm.

    Shape: as `layout` says, the same out as in.
    Parameters: weight (C,), ones; bias (C,), zeros.

    Source: Ba, Kiros & Hinton 2016, Layer Normalization; at each pixel as in Liu et al. 2022,
    A ConvNet for the 2020s.

    Args:
        eps: added to the variance.
        affine, bias: as in LayerNorm.

    Raises:
        NormLabError: one channel.
    """

    _has_kernels = True

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
        refuse_one_channel("channel_layernorm", num_features)
        self.eps = check_eps(eps)
        self.add_affine(affine, bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.check(x):
            return self.aside(x)
        weight, bias = self.gain_and_shift(x)
        if not self._is_over_maps:
            return _over_last(x, weight, bias, self.eps)
        maps = as_maps(x, self.layout)
        if is_channels_last(maps) or transformed():
            y = _over_last(maps.permute(0, 2, 3, 1), weight, bias, self.eps)  # (N, H, W, C)
            return from_maps(y.permute(0, 3, 1, 2), self.layout, x)
        flat = wide(x).contiguous().flatten(2)  # (N, C, H W)
        y = channel_norm(flat, weight[:, None], bias[:, None], self.eps)
        return narrow(y.view(x.shape), x)


def _over_last(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Layer norm over the last dimension of x (..., C), in its dtype."""
    if kernels := kernels_for(x, weight, bias):
        return layer_rows(kernels, x, weight, bias, eps)
    h = for_kernel(x, weight)
    return narrow(F.layer_norm(h, weight.shape, weight, bias, eps), x)
