"""What some experiments make of their trials before a rule sees it: curves, grids, choices."""

import math

import numpy as np
import pytest

from normlab.claims.evidence import Evidence
from normlab.claims.registry import experiment_file, load_experiment
from normlab.records.record import Record
from normlab.records.verdict import INCONCLUSIVE, NO_DATA


def module(slug):
    """The experiment file of a claim, for the functions that its quantities are made of."""
    return load_experiment(experiment_file(slug))


def evidence(arms):
    """{arm: [record of seed 0, ...]} as evidence."""
    return Evidence({arm: dict(enumerate(records)) for arm, records in arms.items()})


def accuracies(arms, metric="test_accuracy"):
    """{arm: [value of seed 0, ...]} as evidence."""
    records = {}
    for arm, values in arms.items():
        records[arm] = [Record("k", {}, metrics={metric: value}) for value in values]
    return evidence(records)


def curve(*losses):
    return Record(
        "k",
        {},
        curve={"step": [10 * (i + 1) for i in range(len(losses))], "train_loss": list(losses)},
    )


def test_speedup_counts_both_arms_to_their_first_entry_at_the_target():
    experiment = module("bn-speeds-training")
    # The baseline ends at 2.1, which it first meets after 20 steps.
    base = curve(2.3, 2.1, 2.0, 2.2, 2.1, 2.1, 2.1)
    curves = evidence({"none": [base] * 2, "bn": [curve(2.1, 1.9), curve(2.3, 2.2)]})
    # The second of BN never gets there: its whole budget.
    ratios = np.exp(experiment.speedup("bn", "none").read(curves))
    assert ratios == pytest.approx([20 / 10, 20 / 20])


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
    trials = evidence(arms)

    def largest(trials, good):
        return np.exp(experiment.largest(trials, "MLP", "none", good))

    assert largest(trials, experiment.useful) == pytest.approx([rates[3], rates[1]])
    assert largest(trials, experiment.stable) == pytest.approx([rates[3], rates[3]])
    dead = evidence({name: [Record("k", {}, status="diverged")] for name in names})
    assert largest(dead, experiment.stable) == pytest.approx([rates[0]])


def test_width_counts_half_decades_near_the_best():
    experiment = module("bn-init-insensitive")
    values = [0.1, 0.1, 0.28, 0.3, 0.26, 0.24, 0.1]
    by_gain = zip(experiment.GAINS, values, strict=True)
    trials = accuracies({f"none {gain:g}": [value, 0.1] for gain, value in by_gain})
    assert experiment.width(trials, "none") == pytest.approx([1.5, 3.5])


def test_doublings_of_the_deepest_net_that_trains():
    experiment = module("bn-deeper-nets")
    # Half of the gain over chance: 0.2
    accuracy = {"none": (0.3, 0.25, 0.1), "batchnorm": (0.35, 0.1, 0.21)}
    arms = {}
    for kind, row in accuracy.items():
        for depth, value in zip((10, 20, 40), row, strict=True):
            arms[f"MLP {depth}, {kind}"] = [value] * 3
    doublings = experiment.doublings("MLP").read(accuracies(arms))
    assert doublings == pytest.approx([math.log2(40 / 20)] * 3)


def test_a_choice_never_sees_the_seed_that_it_is_read_on():
    experiment = module("gn-group-count-matters")
    val = {"a": (0.9, 0.1, 0.1), "b": (0.2, 0.2, 0.2)}
    test = {"a": (0.5, 0.6, 0.7), "b": (0.1, 0.2, 0.3)}
    arms = {}
    for arm in val:
        pairs = zip(val[arm], test[arm], strict=True)
        metrics = [{"val_accuracy": v, "whole_test_accuracy": t} for v, t in pairs]
        arms[arm] = [Record("k", {}, metrics=one) for one in metrics]
    trials = evidence(arms)
    # Seed 0's own validation favours a, the others' favour b; seeds 1 and 2 see seed 0 and take a.
    assert experiment.chosen(trials, ("a", "b"), best=True) == pytest.approx([10, 60, 70])
    assert experiment.chosen(trials, ("a", "b"), best=False) == pytest.approx([50, 20, 30])


def test_a_cost_of_padding_is_between_the_statistics_of_the_batch_and_those_that_run():
    experiment = module("padding-dominant-reason")
    metrics = (
        {"batch_test_loss": 2.0, "test_loss": 1.5},
        {"batch_test_loss": 1.75, "test_loss": 1.5},
    )
    names = "batchnorm 32, counted 0", "batchnorm 32, counted 90"
    arms = {}
    for name, one in zip(names, metrics, strict=True):
        arms[name] = [Record("k", {}, metrics=one)]
    assert experiment.mismatch(evidence(arms)) == pytest.approx([0.25])


def test_the_deepest_is_the_last_before_one_that_does_not_train():
    experiment = module("postln-12-layers-warmup")
    losses = {2: 1.0, 6: 1.9, 12: 3.0, 24: 1.0}  # trains below 2, half of the way from 3 to 1
    arms = {}
    for depth, loss in losses.items():
        for warmup in ("warm-up", "no warm-up"):
            pre = {"test_loss": 1.0, "trivial_loss": 3.0}
            arms[f"pre, {warmup}, {depth}"] = [Record("k", {}, metrics=pre)]
            post = [Record("k", {}, metrics={"test_loss": loss})]
            arms[f"post, {warmup}, {depth}"] = post
    assert experiment.deepest(evidence(arms), "warm-up") == pytest.approx([6])
    arms["post, no warm-up, 2"] = [Record("k", {}, metrics={"test_loss": 2.5})]
    assert experiment.deepest(evidence(arms), "no warm-up") == pytest.approx([1])


def test_a_part_of_another_backend_has_no_data_and_one_of_void_cells_is_inconclusive():
    claim = module("syncbn-slowdown-10-30").CLAIM
    logs = {
        f"log_{name}_{batch}": math.log(1.2) for name in ("step", "messages") for batch in (8, 64)
    }
    void = {**logs, "log_messages_8": None, "log_messages_64": None}
    arms = {"2 processes": void, "4 processes": {**logs, "log_messages_64": None}}
    trials = {}
    for arm, metrics in arms.items():
        record = Record("k", {}, metrics={**metrics, "per_layer": 2.0}, device="gloo, cpu")
        trials[arm] = [record] * 3
    findings = {part.name: part.decide(evidence(trials)) for part in claim.parts}
    assert findings["gloo, step"].effect == pytest.approx(1.2)
    assert findings["gloo, messages"].verdict == INCONCLUSIVE  # one cell of four is left
    assert "void" in findings["gloo, messages"].text
    assert findings["several GPUs"].verdict == NO_DATA
