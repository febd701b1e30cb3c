"""Quantities and rules of protocols: contrasts of independent arms, floors, changes either way,
cells."""

import math

import numpy as np
import pytest

from normlab.claims.evidence import Evidence, PartMissing
from normlab.claims.protocols.contrasts import contrast, weighted
from normlab.claims.protocols.either_way import Changes
from normlab.claims.protocols.floors import where_one_reaches
from normlab.claims.protocols.images import image_protocols, inference_arm, tiny_protocols
from normlab.claims.protocols.text import text_protocols
from normlab.claims.protocols.timing import counted, ratio_of
from normlab.claims.quantity import difference
from normlab.claims.rules import Within
from normlab.records.record import Record
from normlab.records.verdict import INCONCLUSIVE, REFUTED, SUPPORTED


def evidence(arms):
    """{arm: [metrics of seed 0, ...]}"""
    records = {arm: dict(enumerate(Record("k", {}, metrics=one) for one in rows))
               for arm, rows in arms.items()}  # fmt: skip
    return Evidence(records)


def test_a_contrast_has_one_sample_of_each_arm_in_the_unit_of_its_metric():
    trials = evidence({
        "a": [{"test_accuracy": 0.5, "precise_test_accuracy": 0.6}] * 2,
        "b": [{"test_accuracy": 0.4}] * 3,
    })  # fmt: skip
    half = contrast(
        {"a": {"precise_test_accuracy": 1.0, "test_accuracy": -0.5}, "b": {"test_accuracy": -0.5}},
        "won - half of the fall",
    )
    own, other = half.read(trials)
    assert own == pytest.approx([35.0] * 2) and other == pytest.approx([-20.0] * 2)
    assert half.unit == "points" and half.arms == ("a", "b")
    losses = contrast(weighted("test_loss", {"a": 1.0, "b": -1.0}), "a - b")
    assert losses.unit == "nats"


def test_arms_below_a_floor_are_not_compared_and_one_above_it_is_enough():
    plain = difference("a", "b", words="a - b")
    floored = where_one_reaches(plain, "test_accuracy", 0.2, "neither learns")
    assert (floored.words, floored.unit, floored.arms) == (plain.words, plain.unit, plain.arms)
    for a, b in ((0.1, 0.19), (0.1, 0.2), (0.5, 0.1)):
        trials = evidence({"a": [{"test_accuracy": a}] * 2, "b": [{"test_accuracy": b}] * 2})
        if max(a, b) < 0.2:
            with pytest.raises(PartMissing, match="neither learns"):
                floored.read(trials)
            continue
        for own, expected in zip(floored.read(trials), plain.read(trials), strict=True):
            assert own == pytest.approx(expected)


@pytest.mark.parametrize(
    ("mean", "verdict"), [(2.0, SUPPORTED), (-2.0, SUPPORTED), (0.0, REFUTED), (0.5, INCONCLUSIVE)]
)
def test_changes_are_supported_on_either_side(mean, verdict):
    values = mean + 0.1 * np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    finding = Changes(0.5).decide(values, "points")
    assert finding.verdict == verdict
    assert 0 <= finding.p <= 1


def test_no_change_is_called_one_in_five_per_cent_at_most():
    noise = np.random.default_rng(0).normal(size=(5, 4000))
    at_the_edge = Changes(0.5).decide_all(0.5 + 0.3 * noise).verdict
    assert (at_the_edge == SUPPORTED).mean() <= 0.035
    assert (at_the_edge == REFUTED).mean() <= 0.06
    other = Within(0.5).decide_all(0.3 * noise).verdict
    assert ((other == SUPPORTED) == (Changes(0.5).decide_all(0.3 * noise).verdict == REFUTED)).all()


def test_a_change_has_the_p_value_of_the_tests_that_decide_it():
    steps = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    # Refuted and supported alike are sure, and what is open is not.
    sure = [Changes(0.5).decide(mean + 0.1 * steps, "points").p for mean in (0.0, 2.0, -2.0)]
    assert max(sure) < 0.01
    assert Changes(0.5).decide(0.5 + 0.3 * steps, "points").p > 0.05


def timed(rows):
    return evidence({"arm": [{name: value for name, value in row.items()} for row in rows]})


CELLS = ("log 4x8 float32 forward", "log 4x16 float32 forward", "log 4x8 float32 forward_backward")


def test_a_ratio_is_of_the_cells_that_its_words_name():
    row = dict(zip(CELLS, np.log([0.5, 0.8, 3.0]), strict=True))
    trials = timed([row] * 5)
    both = ratio_of("arm", "float32", "forward")
    assert np.exp(both.read(trials)) == pytest.approx([math.sqrt(0.4)] * 5)
    assert both.beside(trials) == "2 cells from 0.5 to 0.8"
    narrow = ratio_of("arm", "forward", any_of=["1x8", "4x8"])
    assert np.exp(narrow.read(trials)) == pytest.approx([0.5] * 5)
    with pytest.raises(PartMissing, match="no cell of bfloat16"):
        ratio_of("arm", "bfloat16").read(trials)


def test_a_void_reading_is_the_mean_of_its_cells_others():
    rows = [{"log a": 0.1, "log b": 0.3}, {"log a": None, "log b": 0.3}] + [
        {"log a": 0.2, "log b": 0.3}
    ] * 2
    kept = counted(timed(rows), "arm", ["log a", "log b"])
    assert kept[1] == pytest.approx([0.5 / 3, 0.3])
    void = [{**row, "log a": None, "log b": None} for row in rows[:2]] + rows[2:]
    with pytest.raises(PartMissing, match="2 of 2 cells are void"):
        counted(timed(void), "arm", ["log a", "log b"])


def test_full_reads_all_images_and_quick_is_small():
    full, quick = (image_protocols()[name] for name in ("full", "quick"))
    assert "model=speednet" in full.overrides and "trainer.max_epochs=8" in full.overrides
    assert not any(one.startswith(("data.subset", "data.eval")) for one in full.overrides)
    assert "data.subset=5000" in quick.overrides
    small = tiny_protocols("optim.warmup=0", full_epochs=1)
    assert "data.image_size=8" in small["quick"].overrides
    assert "data.image_size=16" in small["full"].overrides
    assert small["full"].overrides[-1] == "optim.warmup=0"


def test_full_texts_are_longer_and_as_large_as_quick_ones():
    protocols = text_protocols("model.depth=6", steps=300, full_steps=1200)
    quick, full = protocols["quick"], protocols["full"]
    assert set(quick.overrides) ^ set(full.overrides) == {
        "trainer.max_steps=300", "trainer.max_steps=1200"
    }  # fmt: skip
    assert full.seconds_per_trial == 4 * quick.seconds_per_trial


def test_only_batchnorm_is_adapted_and_left_in_train_mode():
    assert inference_arm("groupnorm").evaluations == ("corruptions",)
    assert set(inference_arm("batchnorm").evaluations) == {
        "corruptions", "adaptation", "train_mode"
    }  # fmt: skip


def test_a_ratio_is_of_the_maps_of_the_sides_that_are_asked_for():
    cells = {"log 8x64x8x8 float32 forward": 1.0, "log 2x8x128x8 float32 forward": 5.0}
    cells |= {"log 2x64x128x128 float32 forward": 3.0}
    records = {seed: Record("k", {}, seed=seed, metrics=cells) for seed in range(3)}
    evidence = Evidence({"arm": records})
    assert ratio_of("arm", sides=(8,)).read(evidence) == pytest.approx([1.0] * 3)
    assert ratio_of("arm", sides=(8, 128)).read(evidence) == pytest.approx([2.0] * 3)
    with pytest.raises(PartMissing, match="no cell of float32 28x28"):
        ratio_of("arm", "float32", sides=(28,)).read(evidence)
