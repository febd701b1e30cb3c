"""Root mean square norms: no centring."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from normlab.norms.autograd_functions import Gradients, apply
from normlab.norms.base import Norm, check_eps, one_value
from normlab.norms.elementwise import ElementwiseNorm, as_sample_rows, from_sample_rows
from normlab.norms.kernels.conditions import by_operations, kernels_for, wants_operations, watched
from normlab.norms.kernels.rows import rms_operations, rms_rows
from normlab.norms.kernels.sets import SetNorm, set_norm
from normlab.norms.layer import LARGER, refuse_one_channel
from normlab.norms.spec import LAYOUTS, norm_kind
from normlab.norms.strided_rms import rms_scale
from normlab.norms.tensors import as_maps, from_maps, is_channels_last, is_dense, narrow, wide

_layer_norm_backward = torch.ops.aten.native_layer_norm_backward.default


@norm_kind("rmsnorm", scaled=True, causal_safe=True, layouts=tuple(LAYOUTS))
class RMSNorm(ElementwiseNorm):
    """Root mean square normalization: LayerNorm without its centring and without its shift.

        y = weight * x / sqrt(mean of x² + eps)

    with the mean over (C, H, W) of maps, and over C of each position of (N, C) and (N, T, C). With
    the sizes of a sample in the place of C, the mean is over all of it, as in LayerNorm.

    Shape: as `layout` says, the same out as in.
    Parameter: weight (C,) or of the sizes given, ones.

    Source: Zhang & Sennrich 2019, Root Mean Square Layer Normalization.

    Args:
        num_features: the number of channels C, or the sizes of a sample.
        eps: added to the mean square.
        affine: False for no gain.

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
    ) -> None:
        super().__init__(num_features, layout)
        if self._is_over_positions:
            refuse_one_channel("RMSNorm", self.num_features)
        self.eps = check_eps(eps)
        self.add_affine(affine, shift=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.check(x):
            return self.aside(x)
        weight = self.gain(x)
        if self._is_over_positions:
            return _over_last(x, weight, self.eps)
        if self.normalized_shape is not None:
            self.check_sizes(x)
            rows, weight = as_sample_rows(x, self.layout, [weight])
            if rows.shape[1] == 1:
                raise one_value("rmsnorm", LARGER)
            return from_sample_rows(_over_last(rows, weight, self.eps), self.layout, x)
        y = self._normalize_maps(as_maps(x, self.layout), weight)
        return from_maps(y, self.layout, x)

    def _normalize_maps(self, x: Tensor, weight: Tensor) -> Tensor:
        if x.shape[1:].numel() == 1:
            raise one_value("rmsnorm", LARGER)
        if is_dense(x) and (kernels := kernels_for(x, weight)):
            norm = SetNorm(1, self.num_features, self.eps, centred=False)
            return set_norm(kernels, norm, x, weight, None)[0]
        # A sample is one row; its gain is the weight of each value's channel, in the order of
        # memory.
        pixels = x.shape[2] * x.shape[3]
        if is_channels_last(x):
            h = wide(x).permute(0, 2, 3, 1)
            gain = weight.expand(pixels, -1).reshape(-1)
        else:
            h = wide(x).contiguous()
            gain = weight[:, None].expand(-1, pixels).reshape(-1)
        rows = rms_norm_rows(h.reshape(x.shape[0], -1), gain, self.eps)
        y = narrow(rows.view(h.shape), x)
        return y.permute(0, 3, 1, 2) if is_channels_last(x) else y


@norm_kind("pixelnorm", scaled=True, causal_safe=True, layouts=tuple(LAYOUTS))
class PixelNorm(Norm):
    """Pixelwise feature vector normalization: RMSNorm over C at each pixel, without a gain.

        y = x / sqrt(mean of x² over C + eps)

    Shape: as `layout` says, the same out as in. No parameters.

    Source: Karras et al. 2018, Progressive Growing of GANs for Improved Quality, Stability, and
    Variation.

    Args:
        eps: added to the mean square.

    Raises:
        NormLabError: one channel.
    """

    def __init__(self, num_features: int, layout: str, *, eps: float = 1e-5) -> None:
        super().__init__(num_features, layout)
        refuse_one_channel("pixelnorm", num_features)
        self.eps = check_eps(eps)

    def forward(self, x: Tensor) -> Tensor:
        if self.check(x):
            return self.aside(x)
        return narrow(rms_scale(wide(x), dim=self._channel_dim, eps=self.eps), x)


def _over_last(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMSNorm over the last dimension of x (..., C), in its dtype."""
    if kernels := kernels_for(x, weight):
        return rms_rows(kernels, x, weight, eps)
    rows = wide(x).reshape(-1, len(weight))
    return narrow(rms_norm_rows(rows, weight, eps).view(x.shape), x)


def rms_norm_rows(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMSNorm of rows (R, D), weight (D,).

    The kernel follows from the device alone: one that was chosen by size would give a row other
    last digits in another batch.
    """
    if x.is_cuda or watched():
        return rms_operations(x, weight, eps)
    y: Tensor = apply(_RMSRows, x, weight, eps)
    return y


class _RMSRows(torch.autograd.Function):
    """RMSNorm of rows on the CPU, without a kernel in C.

    `F.rms_norm` is a chain of elementwise operations there, and autograd's backward of the chain
    costs most. The backward here is layer norm's fused kernel, told that the mean was 0. What it
    computes is

        rstd * (w dy - mean(w dy) - xhat mean(w dy xhat)),  xhat = (x - 0) * rstd,

    the gradient of RMSNorm but for the middle term, which layer norm's centring brings and which is
    added back. Where it is differentiated again, it is autograd's of the formula.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        rstd = norm.square_().div_(x.shape[1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, rstd)
        ctx.eps = eps
        return torch.mul(x, rstd).mul_(weight)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Gradients:
        x, weight, rstd = ctx.saved_tensors
        if wants_operations(dy):
            wanted = ctx.needs_input_grad[:2]
            formula = partial(rms_operations, eps=ctx.eps)
            return *by_operations(formula, (x, weight), wanted, dy), None
        width = x.shape[1]
        dy = dy.contiguous()
        dx, dweight, _ = _layer_norm_backward(
            dy, x, (width,), torch.zeros_like(rstd), rstd, weight, None, (True, True, False)
        )
        centring = torch.mv(dy, weight).unsqueeze_(1).mul_(rstd)
        return dx.add_(centring, alpha=1 / width), dweight, None
