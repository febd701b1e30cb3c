"""What a conversion costs: networks that training leaves as they are, and the layers by hand."""

import copy

import pytest
import torch
from torch import nn

from normlab.config.compose import compose
from normlab.measure.converted import converted, cost_of_conversion
from normlab.norms.group import GroupNorm
from normlab.training.running_statistics import batch_norms
from normlab.training.setup import set_up
from normlab.training.step import evaluate

SMALL = (
    "data=digits", "data.subset=128", "data.eval_subset=64", "data.batch_size=64",
    "model.width=8", "trainer.max_steps=4", "optim.warmup=0",
)  # fmt: skip


def options(rate):
    return {
        "overrides": SMALL,
        "rates": (rate,),
        "choice": (),
        "extend": False,
        "tuned": ("trainer.max_steps=2",),
        "scratch": ("trainer.max_steps=3",),
    }


def test_groupnorm_has_gain_and_shift_of_the_batchnorm_before():
    model = set_up(compose([*SMALL, "norm=batchnorm"])).model
    for layer in batch_norms(model):
        nn.init.uniform_(layer.weight)
        nn.init.uniform_(layer.bias)
    before = copy.deepcopy(model.state_dict())
    new = converted(model, "groupnorm")
    norms = [layer for layer in new.modules() if isinstance(layer, GroupNorm)]
    x = torch.randn(5, 8, 8, 8)
    for norm, old in zip(norms[:1], batch_norms(model), strict=False):
        by_hand = nn.functional.group_norm(x, 8 // 2, old.weight, old.bias, old.eps)
        torch.testing.assert_close(norm(x), by_hand, atol=1e-5, rtol=1e-4)
    assert len(norms) == len(batch_norms(model)) and not batch_norms(new)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_without_a_step_that_moves_anything_tuned_is_converted():
    metrics, setup = cost_of_conversion(options(1e-30), "batchnorm", "groupnorm", seed=0)
    assert metrics["tuned_accuracy"] == metrics["converted_accuracy"]
    fresh = set_up(compose([*SMALL, "norm=groupnorm", "seed=0"]))
    untrained = evaluate(fresh.model, fresh.data.eval_batches("test"))[1]
    assert metrics["scratch_accuracy"] == untrained
    assert metrics["before_accuracy"] == evaluate(setup.model, setup.data.eval_batches("test"))[1]


def test_the_network_before_is_not_what_is_tuned():
    metrics, setup = cost_of_conversion(options(0.1), "batchnorm", "groupnorm", seed=0)
    assert set(metrics) == {
        f"{name}_accuracy" for name in ("before", "converted", "tuned", "scratch")
    }
    again = cost_of_conversion(options(0.1), "batchnorm", "groupnorm", seed=0)[0]
    assert metrics == pytest.approx(again, abs=0)
    assert batch_norms(setup.model)
