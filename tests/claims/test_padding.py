"""Arms of padded documents: masked padding is no padding, and how the share of padding's cost
decides."""

import numpy as np
import pytest
import torch
from test_measures import accuracies

from normlab.claims.claim import Arm, Part
from normlab.claims.protocols.documents import (
    LAYERNORM,
    document_protocols,
    gap_and_cost,
    padded_arm,
)
from normlab.claims.rules import MainReason
from normlab.measure.networks import train_network
from normlab.models.layers import PAD
from normlab.records.verdict import INCONCLUSIVE, PARTLY, REFUTED, SUPPORTED
from normlab.training.step import evaluate

EMBEDDED = document_protocols("model.width=16", "trainer.max_steps=12", "data.eval_subset=100")[
    "cpu-embedded"
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


def decide(layernorm, masked, padded, metric="test_loss", margin=0.02):
    noise = (0.0, 0.001, -0.001, 0.002, -0.002)
    means = {"layernorm": layernorm, "masked": masked, "padded": padded}
    losses = accuracies(
        {arm: [mean + shift for shift in noise] for arm, mean in means.items()}, metric
    )
    for seed, record in losses.records["padded"].items():
        record.metrics[metric] += noise[-seed]
    quantity = gap_and_cost(["padded"], "masked", "layernorm", metric)
    return Part("padding", "it is padding", quantity, MainReason(margin)).decide(losses)


@pytest.mark.parametrize(
    ("layernorm", "masked", "padded", "verdict"),
    [
        (4.0, 3.9, 3.95, REFUTED),  # padding costs, and BatchNorm still wins
        (4.0, 4.1, 4.1, REFUTED),  # it loses, but not by its padding
        (4.0, 4.07, 4.1, PARTLY),  # 30 % of the gap
        (4.0, 4.01, 4.1, SUPPORTED),  # 90 %
        (4.0, 3.9, 4.1, SUPPORTED),  # more than all
        (4.0, 4.079, 4.1, INCONCLUSIVE),  # a fifth, more or less
    ],
)
def test_main_reason(layernorm, masked, padded, verdict):
    finding = decide(layernorm, masked, padded)
    assert finding.verdict == verdict
    assert finding.effect == pytest.approx(padded - layernorm, abs=0.002)
    assert finding.text.endswith(f"; padding costs {padded - masked:.3g} nats")


def test_main_reason_of_accuracies_counts_points_that_are_lost():
    finding = decide(0.80, 0.79, 0.70, "test_accuracy", 1.0)
    assert finding.verdict == SUPPORTED and finding.effect == pytest.approx(10, abs=0.2)
    assert finding.unit == "points"
    assert decide(0.70, 0.79, 0.80, "test_accuracy", 1.0).verdict == REFUTED


def test_main_reason_is_seldom_wrong_where_there_is_no_gap_or_padding_costs_nothing():
    """The simulated share of wrong verdicts, 2,000 experiments of 5 seeds, noise of the margin."""
    random = np.random.default_rng(0)
    rule, experiments = MainReason(0.02), 2000
    gap, cost = 0.02 * random.normal(size=(2, 5, experiments))
    no_gap = rule.decide_all(np.stack([gap, cost + 0.02], axis=1))
    assert np.isin(no_gap.verdict, (SUPPORTED, PARTLY)).mean() <= 0.035
    no_cost = rule.decide_all(np.stack([gap + 0.1, cost], axis=1))
    assert np.isin(no_cost.verdict, (SUPPORTED, PARTLY)).mean() <= 0.035


def test_main_reason_needs_three_seeds_and_says_its_own_margin():
    rule = MainReason(0.02)
    two = rule.decide(np.array([[0.1, 0.1], [0.11, 0.1]]), "nats")
    assert two.verdict == INCONCLUSIVE and two.n == 2
    for number in ("0.02", "0.01", "50 %", "20 %"):
        assert number in rule.words and number in two.text
