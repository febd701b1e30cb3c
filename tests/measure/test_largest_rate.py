"""Largest rates: what zero gains do, which runs train, and the bookkeeping on made-up outcomes."""

import math

import pytest
import torch

from normlab.config.compose import compose
from normlab.measure import largest_rate
from normlab.measure.largest_rate import Outcome, largest_rates, train_at, zero_last_gains
from normlab.records.measurement import TENSORS
from normlab.training.setup import set_up

SMALL = (
    "model=resnet", "model.depth=8", "model.width=4", "data=digits", "data.subset=256",
    "data.eval_subset=64", "data.batch_size=64", "trainer.max_steps=60", "optim.warmup=0",
)  # fmt: skip


def test_with_zero_gains_a_block_is_its_shortcut():
    model = set_up(compose(list(SMALL)), adapt=zero_last_gains).model
    block = model.blocks[0]
    x = torch.rand(4, 4, 8, 8)  # not negative: the ReLU behind the sum changes nothing
    assert torch.equal(block(x), x)
    assert bool((block.norm1.weight == 1).all()) and bool((model.norm.weight == 1).all())
    assert not torch.equal(set_up(compose(list(SMALL))).model.blocks[0](x), x)


def test_what_trains_and_what_does_not():
    accuracy = train_at(SMALL, 0.1, 0, None).accuracy
    assert accuracy is not None and accuracy > 0.3
    assert train_at(SMALL, 1e-9, 0, None).accuracy is None  # stuck
    assert train_at((*SMALL, "norm=none"), 1e3, 0, None).accuracy is None  # explodes


@pytest.mark.parametrize(
    ("outcomes", "stable", "useful", "best"),
    [
        ({0.1: 0.6, 0.2: 0.7, 0.4: 0.68, 0.8: 0.3, 1.6: None}, 0.8, 0.4, 0.7),
        ({0.1: 0.6, 0.2: None, 0.4: 0.5}, 0.4, 0.1, 0.6),
        ({0.1: None, 0.2: None}, 0.1, 0.1, 0.0),
    ],
)
def test_the_largest_of_made_up_outcomes(monkeypatch, outcomes, stable, useful, best):
    monkeypatch.setattr(
        largest_rate, "train_at", lambda a, rate, seed, adapt: Outcome(outcomes[rate], TENSORS)
    )
    found = largest_rates((), tuple(outcomes), 0)
    assert found.metrics == {
        "log2_stable": math.log2(stable), "log2_useful": math.log2(useful), "best_accuracy": best
    }  # fmt: skip
