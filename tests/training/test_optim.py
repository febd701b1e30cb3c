"""Learning rates and what is refused."""

import pytest
import torch

from normlab.config.compose import compose
from normlab.errors import NormLabError
from normlab.training.optim import build_optimizer, learning_rate


def rates(*overrides, steps=100):
    rate = learning_rate(compose(["optim.lr=1.0", *overrides]).optim, steps)
    return [rate(step) for step in range(steps)]


def test_warmup_then_cosine_to_zero():
    values = rates("optim.warmup=0.1")
    assert (
        values[0] == pytest.approx(0.1)
        and values[9] == pytest.approx(1.0)
        and max(values) == pytest.approx(1.0)
    )
    assert values[10:] == sorted(values[10:], reverse=True)
    assert values[55] == pytest.approx(0.5, abs=0.01) and values[-1] < 1e-3


def test_linear_and_constant():
    assert rates("optim.warmup=0", "optim.decay=linear")[50] == pytest.approx(0.5)
    assert set(rates("optim.warmup=0", "optim.decay=constant")) == {1.0}


@pytest.mark.parametrize("override", ["optim.warmup=1.5", "optim.warmup=-0.1"])
def test_warmup_outside_its_range_is_refused(override):
    with pytest.raises(NormLabError, match="from 0 to 1"):
        rates(override)


@pytest.mark.parametrize("override", ["optim.lr=0", "optim.lr=-1", "optim.weight_decay=-0.1"])
def test_negative_rates_are_refused(override):
    with pytest.raises(NormLabError, match=override.split("=")[0]):
        build_optimizer(compose([override]).optim, torch.nn.Linear(2, 2))
