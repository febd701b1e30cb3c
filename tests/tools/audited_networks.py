"""Small networks that audits look at, and their input."""

from functools import partial

import torch
from torch import nn

import normlab


def network(norm=nn.BatchNorm2d, bias=False):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=bias),
        norm(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, bias=False),
        norm(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )


def trained(**options):
    """A network whose running statistics are those of `images`."""
    model = network(partial(nn.BatchNorm2d, **options))
    with torch.no_grad():
        for _ in range(100):
            model(images(64))
    return model


def images(samples=16, scale=1.0):
    return scale * torch.randn(samples, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def names(*arguments, **options):
    return [found.name for found in normlab.audit(*arguments, **options)]


class Language(nn.Module):
    """Causal but for its norm: each position reads the mean of those up to it."""

    def __init__(self, norm):
        super().__init__()
        self.tokens, self.norm, self.head = nn.Embedding(9, 8), norm, nn.Linear(8, 9)

    def forward(self, ids):
        x = self.tokens(ids).cumsum(1)
        return self.head(self.norm(x))


def tokens():
    return torch.randint(9, (16, 12), generator=torch.Generator().manual_seed(0))
