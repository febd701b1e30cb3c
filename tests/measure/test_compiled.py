"""Chains in eval mode with drawn statistics; what the compiler gives is compared chain by chain."""

import torch
from torch import nn

from normlab.measure import compiled
from normlab.measure.compiled import ACTIVATIONS, CHANNELS, NORMS, SAMPLES, SIDE, chains


def test_chains():
    built = chains("batchnorm", torch.Generator().manual_seed(0))
    assert list(built) == list(NORMS)
    for made in built.values():
        assert len(made) == len(ACTIVATIONS)
        for chain in made:
            assert not chain.training and isinstance(chain[0], nn.BatchNorm2d)
            # Statistics of no fresh layer.
            assert (chain[0].running_mean != 0).all() and (chain[0].running_var != 1).all()
            y = chain(torch.randn(SAMPLES, CHANNELS, SIDE, SIDE))
            assert y.shape == (SAMPLES, CHANNELS, SIDE, SIDE)


def test_a_compiler_that_is_off_is_found(monkeypatch):
    def off(function):
        def shifted(x):
            return [[y + 0.5 * (x.std() < 1.5) for y in chain] for chain in function(x)]

        return shifted

    monkeypatch.setattr(torch, "compile", off)
    found = compiled.differences("groupnorm", 0, varied=1)
    assert {name for name, value in found.items() if value == 0} == {
        f"varied_{name}" for name in NORMS
    }
    assert all(abs(found[f"constant_{name}"] - 0.5) < 1e-3 for name in NORMS)
