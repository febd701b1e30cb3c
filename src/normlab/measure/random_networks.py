"""Random networks with batch norms whose statistics and parameters are those of no fresh
network."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

KINDS = ("conv", "transposed", "linear")
BATCH_NORMS = 3  # in each network


def random_network(kind: str, seed: int) -> tuple[nn.Sequential, Tensor]:
    """Three layers of `kind` with a batch norm behind each, in eval mode, and a batch of inputs.

    Kernel, stride, dilation, groups, bias and activation are drawn; running statistics are those of
    the network's own inputs, averaged over 4 batches, and scale and shift are random, some scales
    negative.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(*choices: int) -> int:
        return choices[int(torch.randint(len(choices), (1,), generator=generator))]

    layers: list[nn.Module] = []
    width = 4
    for _ in range(BATCH_NORMS):
        # Multiples of 4: every number of groups below divides them.
        out = draw(4, 8, 12)
        layers += [
            _layer(kind, width, out, draw),
            nn.BatchNorm1d(out) if kind == "linear" else nn.BatchNorm2d(out),
            (nn.ReLU, nn.SiLU, nn.Identity)[draw(0, 1, 2)](),
        ]
        width = out
    net = nn.Sequential(*layers)
    # 40 pixels outlast three layers of stride 2 and kernels that reach over 5.
    shape = {"conv": (8, 4, 40, 40), "transposed": (8, 4, 4, 4), "linear": (16, 4)}[kind]
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(0, 0.5, generator=generator)
        for module in net:
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.weight.add_(1)
                # Cumulative: running statistics are then the average over the 4 batches below.
                module.momentum = None
        for _ in range(4):
            # In train mode still. Inputs are not standardised, so that no running mean is near 0.
            net(torch.randn(shape, generator=generator) * 2 + 1)
    return net.eval(), torch.randn(shape, generator=generator) * 2 + 1


def _layer(kind: str, width: int, out: int, draw: Callable[..., int]) -> nn.Module:
    bias = bool(draw(0, 1))
    if kind == "linear":
        return nn.Linear(width, out, bias=bias)
    kernel, groups = draw(1, 2, 3), draw(1, 2, 4)
    if kind == "transposed":
        return nn.ConvTranspose2d(width, out, kernel, stride=draw(1, 2), groups=groups, bias=bias)
    padding, dilation, stride = draw(0, 1), draw(1, 2), draw(1, 1, 2)
    return nn.Conv2d(width, out, kernel, stride, padding, dilation, groups, bias)
