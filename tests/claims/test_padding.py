"""Arms of padded documents: masked padding is no padding, and what its cost is a share of."""

import numpy as np
import pytest
import torch
from test_measures import accuracies

from normlab.claims.claim import Arm
from normlab.claims.protocols.documents import (
    LAYERNORM,
    document_protocols,
    padded_arm,
    padding_beyond_half,
    padding_cost,
)
from normlab.claims.rules import AtLeast
from normlab.measure.networks import train_network
from normlab.models.layers import PAD
from normlab.records.verdict import INCONCLUSIVE, REFUTED, SUPPORTED
from normlab.training.step import evaluate

EMBEDDED = document_protocols("model.width=16", "trainer.max_steps=12", "data.eval_subset=100")[
    "quick-embedded"
].overrides


def trained(arm: Arm, *overrides: str):
    network = train_network((*EMBEDDED, "optim.lr=0.01", *arm.overrides, *overrides), seed=0)
    return network, evaluate(network.model, network.data.eval_batches("test"))[0]


@pytest.mark.parametrize(
    ("arm", "rows"),
    [(LAYERNORM, ()), (padded_arm(32, "counted", 0), ()), (padded_arm(4, "counted", 0), (64,))],
)
def test_masked_padding_is_no_padding(arm, rows):
    """Over 4 documents, which masked padding leaves as 4 * 16 rows."""
    ghost = [f"norm.ghost_batch={n}" for n in rows]
    (without, loss), (masked, other) = (
        trained(arm),
        trained(arm, "data.context=64", "model.padding=masked", *ghost),
    )
    assert (without.data.padding_share, masked.data.padding_share) == (0, 0.75)
    assert loss == pytest.approx(other, abs=1e-4)
    for (name, value), changed in zip(
        without.model.state_dict().items(), masked.model.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(value, changed, atol=1e-3, rtol=1e-3, msg=name)


@pytest.mark.parametrize("how", ["counted", "zeroed"])
def test_padding_that_norms_see_changes_training_and_no_evaluation(how):
    without, padded = trained(padded_arm(32, "counted", 0)), trained(padded_arm(32, how, 75))
    assert abs(without[1] - padded[1]) > 1e-3
    x, _ = next(padded[0].data.eval_batches("test"))
    assert (x[:, 16:] == PAD).all() and x.shape[1] == 160
    with torch.inference_mode():
        torch.testing.assert_close(
            padded[0].model(x)[:, :16], padded[0].model(x[:, :16]), atol=1e-4, rtol=1e-4
        )


def evidence_of(layernorm, masked, padded, metric="test_loss"):
    noise = (0.0, 0.001, -0.001, 0.002, -0.002)
    means = {"layernorm": layernorm, "masked": masked, "padded": padded}
    return accuracies(
        {arm: [mean + shift for shift in noise] for arm, mean in means.items()}, metric
    )


def effect(quantity, evidence):
    """The sum of the means of independent samples, as rules take it."""
    return sum(float(np.mean(sample)) for sample in quantity.read(evidence))


@pytest.mark.parametrize(
    ("layernorm", "masked", "padded", "verdicts"),
    [
        (4.0, 3.9, 3.95, (SUPPORTED, REFUTED)),  # it costs, and there is no gap to explain
        (4.0, 4.1, 4.1, (REFUTED, REFUTED)),  # BatchNorm loses, but not by its padding
        (4.0, 4.07, 4.1, (INCONCLUSIVE, REFUTED)),  # 30 % of the gap
        (4.0, 4.01, 4.1, (SUPPORTED, SUPPORTED)),  # 90 %
        (4.0, 3.9, 4.1, (SUPPORTED, SUPPORTED)),  # more than all
    ],
)
def test_cost_of_padding_and_its_share_of_the_gap(layernorm, masked, padded, verdicts):
    evidence = evidence_of(layernorm, masked, padded)
    cost = padding_cost(["padded"], "masked")
    beyond = padding_beyond_half(["padded"], "masked", "layernorm")
    assert effect(cost, evidence) == pytest.approx(padded - masked)
    gap = padded - layernorm
    assert effect(beyond, evidence) == pytest.approx(min(padded - masked - gap / 2, gap))
    rules = AtLeast(0.03), AtLeast(0.0)
    found = [
        rule.decide(one.read(evidence), "nats").verdict
        for rule, one in zip(rules, (cost, beyond), strict=True)
    ]
    assert tuple(found) == verdicts


def test_the_cost_is_of_the_mean_over_shares_of_padding():
    evidence = evidence_of(4.0, 4.0, 4.1)
    both = padding_cost(["padded", "layernorm"], "masked")
    assert effect(both, evidence) == pytest.approx(0.05)


def test_accuracies_count_in_points_that_are_lost():
    evidence = evidence_of(0.80, 0.79, 0.70, "test_accuracy")
    cost = padding_cost(["padded"], "masked", "test_accuracy")
    beyond = padding_beyond_half(["padded"], "masked", "layernorm", "test_accuracy")
    assert effect(cost, evidence) == pytest.approx(9) and cost.unit == "points"
    assert effect(beyond, evidence) == pytest.approx(9 - 10 / 2)
