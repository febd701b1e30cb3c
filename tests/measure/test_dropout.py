"""Dropout beside norms: where it stands, and that statistics without it are those of eval mode."""

import pytest
import torch
from torch import nn

from normlab.config.compose import compose
from normlab.errors import NormLabError
from normlab.measure.dropout import accuracy_without_dropout_in_statistics, with_dropout
from normlab.training.evaluations.reevaluation import precise
from normlab.training.running_statistics import batch_norms
from normlab.training.setup import set_up
from normlab.training.step import evaluate

SMALL = (
    "data=digits", "data.subset=128", "data.eval_subset=64", "data.batch_size=64",
    "model.width=8", "model.depth=3", "trainer.max_steps=6", "optim.lr=0.1",
)  # fmt: skip


def network(*overrides, **shares):
    return set_up(compose([*SMALL, *overrides]), adapt=with_dropout(**shares))


def kinds(setup):
    names = {"Conv2d": "c", "BatchNorm": "n", "ReLU": "a", "Dropout": "d"}
    return "".join(names[type(layer).__name__] for layer in setup.model.features)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"before": 0.5}, "cdnacdnacdna"),
        ({"after": 0.5}, "cnadcnadcnad"),
        ({"last": 0.5}, "cnacnacnad"),
        ({}, "cnacnacna"),
    ],
)
def test_where_it_stands(shares, expected):
    assert kinds(network(**shares)) == expected


def test_the_weights_are_those_of_the_network_without_it():
    one, two = (network(**shares).model for shares in ({}, {"before": 0.5}))
    for mine, its in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(mine, its)


def test_other_networks_are_refused():
    with pytest.raises(NormLabError, match="plaincnn"):
        network("model=mlp", "data=digits", before=0.5)


def test_statistics_without_dropout_are_what_norms_see_at_evaluation():
    setup = network(before=0.5)
    setup.train()
    before = evaluate(setup.model, setup.data.eval_batches("test"))[1]
    running = batch_norms(setup.model)[0].running_var.clone()
    anew = accuracy_without_dropout_in_statistics(setup)
    assert anew != before
    # The network given stays, with its dropout.
    assert torch.equal(batch_norms(setup.model)[0].running_var, running)
    assert all(layer.p == 0.5 for layer in setup.model.modules() if isinstance(layer, nn.Dropout))
    # By hand, of the first norm: the variance of its inputs, which training saw about twice.
    x = torch.cat([setup.data.batch(step)[0] for step in range(setup.data.steps_per_epoch)])
    with torch.no_grad():
        seen = setup.model.features[0](x).transpose(0, 1).flatten(1).var(1)
    assert float((running / seen).mean()) > 1.3


def test_without_any_dropout_they_are_precise_statistics():
    setup = network()
    setup.train()
    assert accuracy_without_dropout_in_statistics(setup) == precise(setup)["precise_test_accuracy"]
