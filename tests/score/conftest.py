"""A norm of a user's, and one small score of it under smoke, shared by the tests of this folder."""

import os
import subprocess

import pytest

FILE = """
import torch
from torch import nn

class MeanAbs(nn.Module):
    '''x over its mean absolute value, per sample: a norm without squares.'''

    def __init__(self, num_features, layout, eps=1e-3):
        super().__init__()
        self.dims = {"NC": (1,), "NTC": (2,), "NCHW": (1, 2, 3)}[layout]
        self.shape = (num_features, 1, 1) if layout == "NCHW" else (num_features,)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, x):
        y = x / (x.abs().mean(self.dims, keepdim=True) + self.eps)
        return y * self.weight.view(self.shape) + self.bias.view(self.shape)

class Optional(MeanAbs):
    def __init__(self, num_features, layout, eps=1e-3, axes=(), name="", affine=True):
        super().__init__(num_features, layout, eps)

class Moving(nn.Module):
    '''Statistics over the batch, and no ghost batches; images only.'''

    def __init__(self, num_features):
        super().__init__()
        self.norm = nn.BatchNorm2d(num_features)

    def forward(self, x):
        return self.norm(x)
"""


@pytest.fixture(scope="session")
def own(tmp_path_factory):
    """A folder with own_norms.py, from which `normlab score own_norms.MeanAbs` runs; its results
    lie in it."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_norms.py").write_text(FILE)
    return folder


@pytest.fixture(scope="session")
def run_score(normlab, own):
    """`normlab score *arguments`, untimed and under smoke, from that folder."""

    def run(*arguments: str) -> subprocess.CompletedProcess:
        environment = {key: value for key, value in os.environ.items() if key != "NORMLAB_DATA"}
        options = ("--profile", "smoke", "--untimed", "--results", "results", "--workers", "2")
        return normlab("score", *arguments, *options, cwd=own, env=environment)

    return run


@pytest.fixture(scope="session")
def scored(run_score):
    """The first run: MeanAbs beside groupnorm."""
    return run_score("own_norms.MeanAbs", "--against", "groupnorm", "--option", "eps=0.01")
