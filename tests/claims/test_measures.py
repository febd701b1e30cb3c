"""What some experiments make of their trials before a rule sees it: curves, grids, choices."""

import math

import numpy as np
import pytest

from normlab.claims.evidence import Evidence
from normlab.claims.registry import load_claim
from normlab.records.record import Record


def module(slug):
    import sys

    load_claim(slug)
    return sys.modules[f"normlab_experiment_{slug.replace('-', '_')}"]


def evidence(arms):
    """{arm: [record of seed 0, ...]} as evidence."""
    return Evidence({arm: dict(enumerate(records)) for arm, records in arms.items()}, 3)


def accuracies(arms, metric="test_accuracy"):
    return evidence(
        {
            arm: [Record("k", {}, metrics={metric: v}) for v in values]
            for arm, values in arms.items()
        }
    )


def curve(*losses):
    return Record(
        "k",
        {},
        curve={"step": [10 * (i + 1) for i in range(len(losses))], "train_loss": list(losses)},
    )


def test_speedup_counts_both_arms_to_their_first_entry_at_the_target():
    experiment = module("bn-speeds-training")
    base = curve(
        2.3, 2.1, 2.0, 2.2, 2.1, 2.1, 2.1
    )  # ends at 2.1, which it first meets after 20 steps
    found = experiment.log_speedup(
        evidence({"none": [base] * 2, "bn": [curve(2.1, 1.9), curve(2.3, 2.2)]}), "bn", "none"
    )
    assert np.exp(found) == pytest.approx(
        [20 / 10, 20 / 20]
    )  # the second never gets there: its whole budget


def test_largest_rates_are_per_seed_and_fall_back_to_the_smallest():
    experiment = module("bn-lr-5-10x")
    rates = experiment.RATES["none"]
    names = [f"MLP, none, {rate:g}" for rate in rates]
    arms = {
        name: [Record("k", {}, status="diverged", metrics={"test_accuracy": 0.1})] * 2
        for name in names
    }
    arms[names[1]] = [Record("k", {}, status="ok", metrics={"test_accuracy": 0.3})] * 2
    arms[names[3]] = [
        Record("k", {}, status="ok", metrics={"test_accuracy": v}) for v in (0.28, 0.25)
    ]
    found = evidence(arms)
    assert np.exp(experiment.largest(found, "MLP", "none", experiment.useful)) == pytest.approx(
        [rates[3], rates[1]]
    )
    assert np.exp(experiment.largest(found, "MLP", "none", experiment.stable)) == pytest.approx(
        [rates[3], rates[3]]
    )
    dead = evidence({name: [Record("k", {}, status="diverged")] for name in names})
    assert np.exp(experiment.largest(dead, "MLP", "none", experiment.stable)) == pytest.approx(
        [rates[0]]
    )


def test_width_counts_half_decades_near_the_best():
    experiment = module("bn-init-insensitive")
    values = [0.1, 0.1, 0.28, 0.3, 0.26, 0.24, 0.1]
    found = accuracies(
        {f"none {gain:g}": [v, 0.1] for gain, v in zip(experiment.GAINS, values, strict=True)}
    )
    assert experiment.width(found, "none") == pytest.approx([1.5, 3.5])


def test_doublings_of_the_deepest_net_that_trains():
    experiment = module("bn-deeper-nets")
    accuracy = {
        "none": (0.3, 0.25, 0.1),
        "batchnorm": (0.35, 0.1, 0.21),
    }  # half of the gain over chance: 0.2
    found = accuracies(
        {
            f"MLP {d}, {kind}": [v] * 3
            for kind, row in accuracy.items()
            for d, v in zip((10, 20, 40), row, strict=True)
        }
    )
    assert experiment.doublings("MLP")(found).effect == pytest.approx(math.log2(40 / 20))


def test_a_choice_never_sees_the_seed_that_it_is_read_on():
    experiment = module("gn-group-count-matters")
    val, test = (
        {"a": (0.9, 0.1, 0.1), "b": (0.2, 0.2, 0.2)},
        {"a": (0.5, 0.6, 0.7), "b": (0.1, 0.2, 0.3)},
    )
    found = evidence(
        {
            arm: [
                Record("k", {}, metrics={"val_accuracy": v, "whole_test_accuracy": t})
                for v, t in zip(val[arm], test[arm], strict=True)
            ]
            for arm in val
        }
    )
    # Seed 0's own validation favours a, the others' favour b; seeds 1 and 2 see seed 0 and take a.
    assert experiment.chosen(found, ("a", "b"), np.argmax) == pytest.approx([10, 60, 70])
