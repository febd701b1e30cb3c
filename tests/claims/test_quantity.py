"""What rules decide about: the numbers that each constructor reads, and what it says they are."""

from dataclasses import replace

import numpy as np
import pytest

from normlab.claims.claim import Part
from normlab.claims.evidence import Evidence, Missing, PartMissing, PartWithoutData
from normlab.claims.quantity import (
    Quantity,
    difference,
    every,
    interaction,
    largest,
    metric_difference,
    perplexity_ratio,
    reached,
    trains,
    value,
)
from normlab.claims.rules import AtLeast
from normlab.claims.stats import t_interval
from normlab.records.record import Record
from normlab.records.verdict import INCONCLUSIVE, NO_DATA


def evidence(**metrics):
    """`arm={metric: values by seed}`."""
    records = {}
    for arm, columns in metrics.items():
        rows = zip(*columns.values(), strict=True)
        records[arm] = {
            seed: Record(
                f"{arm}{seed}",
                {},
                seed=seed,
                status="ok",
                metrics=dict(zip(columns, row, strict=True)),
            )
            for seed, row in enumerate(rows)
        }
    return Evidence(records)


TWO = evidence(
    a={"test_accuracy": [0.5, 0.6, 0.7], "error": [1.0, 5.0, 2.0], "test_loss": [2.0, 2.0, 2.0]},
    b={"test_accuracy": [0.4, 0.4, 0.4], "error": [3.0, 1.0, 1.0], "test_loss": [1.0, 1.5, 2.0]},
)


def test_an_accuracy_is_in_points_and_a_loss_in_nats():
    accuracy, loss = difference("a", "b"), difference("a", "b", "test_loss")
    assert accuracy.unit == "points" and loss.unit == "nats"
    np.testing.assert_allclose(accuracy.read(TWO), [[50, 60, 70], [-40, -40, -40]])
    np.testing.assert_allclose(loss.read(TWO), [[2, 2, 2], [-1, -1.5, -2]])
    assert accuracy.words == "test accuracy: a - b"
    assert difference("a", "b", words="a less b").words == "a less b"


def test_a_loss_that_was_not_finite_is_trivial_and_one_that_was_not_measured_is_missing():
    trials = evidence(a={"test_loss": [None], "trivial_loss": [2.3]})
    np.testing.assert_allclose(trials.values("a", "test_loss"), [2.3])
    with pytest.raises(Missing, match="a, seed 0: no tset_loss was recorded"):
        trials.values("a", "tset_loss")


def test_two_metrics_of_the_same_trials():
    quantity = metric_difference("a", "test_accuracy", "error", scale=1, unit="parts")
    assert quantity.unit == "parts"
    np.testing.assert_allclose(quantity.read(TWO), [-0.5, -4.4, -1.3])
    assert quantity.words == "a: test accuracy - error"


def test_an_interaction_is_the_difference_of_two_differences():
    quantity = interaction(("a", "b"), ("b", "a"))
    assert t_interval(quantity.read(TWO)).mean == pytest.approx(40)
    assert len(quantity.read(TWO)) == 4
    assert quantity.unit == "points"
    assert quantity.words == "test accuracy: (a - b) - (b - a)"


def test_a_perplexity_ratio_is_a_logarithm():
    quantity = perplexity_ratio("a", "b")
    assert quantity.unit == "times"
    np.testing.assert_allclose(quantity.read(TWO), [[2, 2, 2], [-1, -1.5, -2]])


def test_the_largest_is_taken_draw_by_draw():
    np.testing.assert_allclose(largest(["a", "b"], "error").read(TWO), [3, 5, 2])
    both = largest(["a", "b"], ["error", "test_loss"])
    np.testing.assert_allclose(both.read(TWO), [3, 5, 2])
    np.testing.assert_allclose(largest(["b"], ["error", "test_loss"]).read(TWO), [3, 1.5, 2])
    assert both.words == "error, test loss, the largest of a, b"


def test_every_draw_by_itself():
    assert sorted(every(["a", "b"], ["error"]).read(TWO)) == [1, 1, 1, 2, 3, 5]
    assert len(every(["a", "b"], ["error", "test_loss"]).read(TWO)) == 12


def test_a_value_in_its_own_unit():
    np.testing.assert_allclose(value("b").read(TWO), [40, 40, 40])
    assert value("b").unit == "%"
    np.testing.assert_allclose(value("b", "error", scale=2, unit="ulp").read(TWO), [6, 2, 2])


def test_what_does_not_train_is_a_rate_and_no_part_of_a_mean():
    trials = evidence(a={"test_accuracy": [0.5, 0.6, 0.1]}, b={"test_accuracy": [0.4, 0.4, 0.4]})
    trials.records["a"][2].status = "diverged"
    assert trains("a").read(trials).tolist() == [1, 1, 0]
    np.testing.assert_allclose(difference("a", "b").read(trials)[0], [50, 60])
    np.testing.assert_allclose(value("a").read(trials), [50, 60])
    assert part(difference("a", "b")).decide(trials).text.endswith("1 of 3 seeds of a do not train")
    for record in trials.trials("a"):
        record.status = "diverged"
    # All of them do not: that is one outcome, and no mixture of two.
    np.testing.assert_allclose(difference("a", "b").read(trials)[0], [50, 60, 10])


def test_only_seeds_that_every_arm_has_count():
    fewer = evidence(a={"test_accuracy": [0.5, 0.6]}, b={"test_accuracy": [0.4, 0.4, 0.4]})
    np.testing.assert_allclose(difference("a", "b").read(fewer), [[50, 60], [-40, -40]])


def part(quantity):
    return Part("p", "a is better", quantity, AtLeast(5.0))


def test_a_part_says_what_is_measured_and_what_is_asked():
    quantity = difference("a", "b", words="accuracy of a - that of b")
    assert part(quantity).rule_words == (
        "accuracy of a - that of b (points): supported above 5, refuted below"
    )


def test_a_remark_stands_beside_the_finding_and_decides_nothing():
    plain = part(difference("a", "b")).decide(TWO)
    beside = part(replace(difference("a", "b"), beside=lambda _: "of three")).decide(TWO)
    assert beside == replace(plain, text=f"{plain.text}; of three")


def raising(error):
    def read(_):
        raise error

    return part(Quantity("what is missing", "points", read))


def test_a_part_may_lack_evidence_by_itself():
    missing = raising(PartMissing("its control is void")).decide(TWO)
    assert (missing.verdict, missing.n, missing.text) == (INCONCLUSIVE, 3, "its control is void")
    none = raising(PartWithoutData("needs two GPUs")).decide(TWO)
    assert (none.verdict, none.n, none.text) == (NO_DATA, 0, "needs two GPUs")
    with pytest.raises(Missing, match="no error was recorded"):
        part(difference("a", "b", "error")).decide(
            evidence(a={"test_loss": [1.0]}, b={"test_loss": [1.0]})
        )


def test_reached_counts_arms_and_not_draws():
    quantity = reached(("a", "b"), "error", 2.0, words="arms with an error", unit="of the list")
    found = evidence(a={"error": [2.0]}, b={"error": [1.9]})
    assert quantity.read(found).tolist() == [1.0, 0.0]
    assert reached(("b",), "error", words="", unit="").read(found).tolist() == [1.0]
