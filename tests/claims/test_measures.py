"""What some experiments make of their trials before a rule sees it: curves, grids, choices."""

import math

import numpy as np
import pytest

from normlab.claims.evidence import Evidence, PartMissing
from normlab.claims.protocols.text import closes_half, depth_name
from normlab.claims.registry import experiment_file, load_experiment
from normlab.records.record import Record
from normlab.records.verdict import INCONCLUSIVE


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
    steps, fewer = (np.exp(one) for one in experiment.speedup("bn", "none").read(curves))
    assert steps == pytest.approx([20, 20]) and fewer == pytest.approx([1 / 10, 1 / 20])


def test_the_target_of_a_speedup_is_the_mean_of_the_last_losses_over_seeds():
    experiment = module("bn-speeds-training")
    curves = evidence({"none": [curve(2.2, 2.1), curve(2.0, 1.9)], "bn": [curve(2.1, 2.0)] * 2})
    # (2.15 + 1.95) / 2 = 2.05: the first seed never meets it, the second at once.
    steps, _ = (np.exp(one) for one in experiment.speedup("bn", "none").read(curves))
    assert steps == pytest.approx([20, 10])


def test_largest_rates_are_per_seed_and_fall_back_to_the_smallest():
    experiment = module("bn-lr-5-10x")
    rates = experiment.RATES["none"]
    names = [experiment.arm_name("MLP", "none", rate) for rate in rates]
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
    with_norm, without = experiment.doublings("MLP").read(accuracies(arms))
    assert with_norm + without == pytest.approx([math.log2(40 / 20)] * 3)


def test_a_choice_never_sees_the_seed_that_it_is_read_on():
    experiment = module("gn-group-count-matters")
    val = {"a": (0.9, 0.1, 0.1), "b": (0.2, 0.2, 0.2)}
    test = {"a": (0.5, 0.6, 0.7), "b": (0.1, 0.2, 0.3)}
    arms = {}
    for arm in val:
        pairs = zip(val[arm], test[arm], strict=True)
        metrics = [{"val_accuracy": v, "test_accuracy": t} for v, t in pairs]
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
    without, with_padding = experiment.mismatch(evidence(arms))
    assert without + with_padding == pytest.approx([0.25])


def test_a_network_trains_that_closes_half_of_the_gap_to_the_mean_of_its_reference():
    references = [Record("k", {}, status="ok", metrics={"test_loss": loss}) for loss in (0.9, 1.1)]
    losses = [Record("k", {}, metrics={"test_loss": x, "trivial_loss": 3.0}) for x in (1.99, 2.01)]
    found = closes_half(evidence({"post": losses, "pre": references}), "post", "pre")
    assert list(found) == [1.0, 0.0]
    # Without a reference that trains there is no bar, whatever a network's loss.
    for record in references:
        record.status = "diverged"
    with pytest.raises(PartMissing, match="most networks of pre do not train"):
        closes_half(evidence({"post": losses, "pre": references}), "post", "pre")


def depth_map(losses):
    """Post-LN of 18 layers by initial scale, one loss a seed; Pre-LN has 1, the trivial is 3."""
    arms = {}
    for init, values in losses.items():
        for placement, row in (("post", values), ("pre", [1.0] * len(values))):
            metrics = [{"test_loss": loss, "trivial_loss": 3.0} for loss in row]
            name = depth_name(placement, 18, "no warm-up", init)
            arms[name] = [Record("k", {}, status="ok", metrics=one) for one in metrics]
    return evidence(arms)


def test_few_train_where_none_does_under_either_scale_and_most_where_all_do_under_both():
    experiment = module("postln-12-layers-warmup")
    both = ("gpt2", "xavier")
    trials = depth_map({"gpt2": [1.5, 3.0, 3.0], "xavier": [1.5, 1.5, 3.0]})
    few = experiment.part(18, "no warm-up", both, most=False).quantity.read(trials)
    most = experiment.part(18, "no warm-up", both, most=True).quantity.read(trials)
    assert list(few) == [1, 1, 0] and list(most) == [1, 0, 0]


def test_a_limit_lies_between_two_depths_where_one_trains_under_both_scales_and_the_other_never():
    experiment = module("postln-12-layers-warmup")
    # By depth and scale, one loss a seed; below 2 is trained.
    losses = {
        (6, "gpt2"): [1.5, 1.5, 1.5, 3.0],
        (6, "xavier"): [1.5, 1.5, 3.0, 3.0],
        (18, "gpt2"): [3.0, 1.5, 3.0, 3.0],
        (18, "xavier"): [3.0, 3.0, 3.0, 3.0],
    }
    arms = {}
    for (depth, init), values in losses.items():
        for placement, row in (("post", values), ("pre", [1.0] * len(values))):
            metrics = [{"test_loss": loss, "trivial_loss": 3.0} for loss in row]
            name = depth_name(placement, depth, "no warm-up", init)
            arms[name] = [Record("k", {}, status="ok", metrics=one) for one in metrics]
    part = experiment.limit_between(6, 18)
    assert list(part.quantity.read(evidence(arms))) == [1, 0, 0, 0]


def test_sensitivity_of_both_is_over_the_rates_from_the_lower_best_one_up():
    experiment = module("qknorm-high-lr")
    losses = {"plain": (2.5, 2.0, 2.1, 2.3, 9.0, 3.0), "qk-norm": (2.6, 2.2, 2.0, 2.1, 2.2, 2.3)}
    arms = {}
    for name, row in losses.items():
        for arm, loss in zip(experiment.arms_of(name), row, strict=True):
            arms[arm] = [Record("k", {}, metrics={"test_loss": loss, "trivial_loss": 3.0})]
    # What explodes is lost at the trivial loss. From the second of six rates up, plain has excesses
    # of 0, 0.1, 0.3, 1, 1 and QK-norm, whose best comes later, of 0.2, 0, 0.1, 0.2, 0.3.
    found = experiment.less_sensitive(evidence(arms))
    assert found == pytest.approx([(2.4 - 0.8) / 5])


def test_a_stream_grows_as_it_does_at_the_rate_of_the_lowest_validation_loss():
    experiment = module("peri-ln-steadier")
    arms = {}
    for arm, loss, growth in zip(
        experiment.arms_of("pre"), (2.0, 1.5, 1.7, 3.0), (2.0, 4.0, 8.0, 16.0), strict=True
    ):
        metrics = {"val_loss": loss, "stream_growth": growth}
        arms[arm] = [Record("k", {}, metrics=metrics)]
    # A factor of 4 of the size is 4 doublings of the variance.
    assert experiment.growth(evidence(arms), "pre") == pytest.approx([4.0])


def nets(none, bn):
    """Plain CNNs of three depths: their accuracies without a norm, and with BN, by seed."""
    arms = {}
    for kind, rows in (("none", none), ("batchnorm", bn)):
        for depth, accuracies in zip((10, 20, 40), rows, strict=True):
            records = [Record("k", {}, metrics={"test_accuracy": one}) for one in accuracies]
            arms[f"plain CNN {depth}, {kind}"] = records
    return evidence(arms)


def test_depth_that_trains_has_a_ceiling_and_a_floor():
    read = module("bn-deeper-nets").doublings("plain CNN").read
    good, bad = [0.5] * 3, [0.1] * 3
    bn, none = read(nets([good, bad, bad], [good, good, good]))
    assert bn + none == pytest.approx([2.0] * 3)
    with pytest.raises(PartMissing, match="40 layers, the deepest here"):
        read(nets([good, good, good], [good, good, good]))
    with pytest.raises(PartMissing, match="the shallowest net without norm does not train"):
        read(nets([bad, bad, bad], [good, good, good]))


def test_no_fall_is_read_off_a_line_beyond_what_was_trained():
    part = module("ln-in-robust-shift").CLAIM.clauses[0]
    arms = {}
    for name, accuracy in zip(part.quantity.arms, (0.8, 0.3, 0.4, 0.5, 0.6, 0.7), strict=True):
        metrics = {"test_accuracy": accuracy, "corrupted_accuracy": accuracy * 2 / 3}
        arms[name] = [Record("k", {}, metrics=metrics)] * 3
    finding = part.decide(evidence(arms))
    assert finding.verdict == INCONCLUSIVE
    assert "outside of BatchNorm's by budget" in finding.text


def test_the_fall_of_batchnorm_is_read_off_its_own_line_at_an_equal_accuracy():
    experiment = module("ln-in-robust-shift")
    arms = {}
    for name, accuracy in zip(experiment.LADDER, (0.3, 0.4, 0.5, 0.6, 0.7), strict=True):
        # A third of the accuracy falls.
        metrics = {"test_accuracy": accuracy, "corrupted_accuracy": accuracy * 2 / 3}
        arms[name] = [Record("k", {}, metrics=metrics)]
    drops = experiment.drop_at(evidence(arms), np.array([0.45]), ("corrupted",))
    assert drops == pytest.approx([15.0])


def test_a_part_of_another_backend_is_open_and_one_of_void_cells_is_inconclusive():
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
    assert findings["several GPUs"].verdict == INCONCLUSIVE
    assert "several GPUs are needed" in findings["several GPUs"].text
