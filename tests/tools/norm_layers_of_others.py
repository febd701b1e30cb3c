"""Norm layers as other packages write them, and tensors to try them on."""

import torch
import torch.nn.functional as F
from torch import nn


def images(channels=8, size=6, samples=4):
    return torch.randn(samples, channels, size, size, generator=torch.Generator().manual_seed(1))


def drawn(module):
    """`module` with parameters and running statistics that are not what they start as."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return module


class Gemma(nn.Module):
    """RMSNorm whose gain is 1 + weight."""

    def __init__(self, width):
        super().__init__()
        self.eps = 1e-6
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * (1 + self.weight)


class Named(nn.Module):
    """LayerNorm by gain + plus and twice * shift, two parameters of any name."""

    def __init__(self, width, gain, shift, plus=0.0, twice=1.0):
        super().__init__()
        self.eps, self.names, self.plus, self.twice = 1e-5, (gain, shift), plus, twice
        self.register_parameter(shift, nn.Parameter(torch.zeros(width)))
        self.register_parameter(gain, nn.Parameter(torch.full((width,), 1.0 - plus)))

    def forward(self, x):
        gain, shift = (getattr(self, name) for name in self.names)
        return F.layer_norm(x, x.shape[-1:], gain + self.plus, self.twice * shift, self.eps)


class Gated(Gemma):
    def forward(self, x, gate=None):
        return super().forward(x if gate is None else x * gate)


class Cubed(Gemma):
    """Scale-invariant, but no gain and shift of a normalized input."""

    def forward(self, x):
        return super().forward(x) ** 3


class LayerNormFirst(nn.LayerNorm):
    """Over the channels of maps, as ConvNeXt's."""

    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)
