"""Root mean square norms: no centring."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from normlab.errors import NormLabError
from normlab.norms.base import Norm, check_eps, is_channels_last, narrow, norm_kind, one_value, wide
from normlab.norms.layer import check_channels
from normlab.norms.strided import RMSScale, first_order

_layer_norm_backward = torch.ops.aten.native_layer_norm_backward.default


class RMSRows(torch.autograd.Function):
    """x / sqrt(mean of x² over the last dimension + eps) * weight for x (R, D), weight (D,) on the CPU.

    `F.rms_norm` is a chain of elementwise operations there, and autograd's backward of the chain costs most. The
    backward here is layer norm's fused kernel, told that the mean was 0: what it computes is

        rstd * (w dy - mean(w dy) - xhat mean(w dy xhat)),  xhat = (x - 0) * rstd,

    the gradient of RMSNorm but for the middle term, which layer norm's centring brings and which is added back.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        rstd = (
            torch.linalg.vector_norm(x, dim=1, keepdim=True)
            .square_()
            .div_(x.shape[1])
            .add_(eps)
            .rsqrt_()
        )
        ctx.save_for_backward(x, weight, rstd)
        return torch.mul(x, rstd).mul_(weight)

    @staticmethod
    @first_order
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, rstd = ctx.saved_tensors
        width = x.shape[1]
        dy = dy.contiguous()
        dx, dweight, _ = _layer_norm_backward(
            dy, x, (width,), torch.zeros_like(rstd), rstd, weight, None, (True, True, False)
        )
        return (
            dx.add_(torch.mv(dy, weight).unsqueeze_(1).mul_(rstd), alpha=1 / width),
            dweight,
            None,
        )


def rms_norm_rows(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMSNorm of rows (R, D), weight (D,).

    The kernel follows from the device alone: one chosen by size would give a row other last digits in another batch.
    """
    if x.is_cuda:
        return F.rms_norm(x, weight.shape, weight, eps)
    return RMSRows.apply(x, weight, eps)


@norm_kind("rmsnorm", scaled=True, causal_safe=True)
class RMSNorm(Norm):
    """RMSNorm (Zhang & Sennrich 2019): layer norm without its centring and without its shift, over the same axes.

    NCHW: over (C, H, W) with a gain per channel. NC, NTC: over C.
    """

    def __init__(self, num_features: int, layout: str, eps: float = 1e-5):
        super().__init__(num_features, layout)
        check_channels(self)
        self.eps = check_eps(eps)
        self.add_affine(shift=False)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        if self.layout == "NCHW":
            return self._maps(x)
        rows = wide(x).reshape(-1, self.num_features)
        return narrow(rms_norm_rows(rows, self.weight, self.eps).view(x.shape), x)

    def _maps(self, x: Tensor) -> Tensor:
        if x[0].numel() == 1:
            raise one_value("rmsnorm", "use larger images, more channels or norm=none")
        # A sample is one row; its gain is the channels' spread over the pixels in the order of memory.
        last = is_channels_last(x)
        h = wide(x).permute(0, 2, 3, 1) if last else wide(x).contiguous()
        pixels = x.shape[2] * x.shape[3]
        gain = self.weight.expand(pixels, -1) if last else self.weight[:, None].expand(-1, pixels)
        rows = h.reshape(len(x), -1)
        gain = gain.reshape(-1)
        y = narrow(rms_norm_rows(rows, gain, self.eps).view(h.shape), x)
        return y.permute(0, 3, 1, 2) if last else y


@norm_kind("pixelnorm", scaled=True, causal_safe=True)
class PixelNorm(Norm):
    """Pixelwise feature vector normalization (Karras et al. 2018): RMS over C at each pixel or token, no parameters."""

    def __init__(self, num_features: int, layout: str, eps: float = 1e-5):
        super().__init__(num_features, layout)
        if num_features == 1:
            raise NormLabError(
                "pixelnorm over 1 channel has one value per statistic: use norm=none there."
            )
        self.eps = check_eps(eps)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return narrow(RMSScale.apply(wide(x), self._channel_dim, self.eps), x)
