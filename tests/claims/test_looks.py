"""What looking several times costs: simulated, with the rules and through the whole sequence."""

import re

import numpy as np
import pytest

from normlab.claims.looks import LEVELS, Looks
from normlab.claims.rules import AtLeast, Between, Within
from normlab.errors import NormLabError
from normlab.records.places import CHECKOUT
from normlab.records.verdict import INCONCLUSIVE, REFUTED, SUPPORTED
from normlab.records.words import listed

EXPERIMENTS = 20_000
ERROR = 3 * np.sqrt(0.05 * 0.95 / EXPERIMENTS)  # three standard errors of a share of 5 %
DECIDED = (SUPPORTED, REFUTED)
each_sequence = pytest.mark.parametrize("sizes", LEVELS)


def sequence(rule, samples, sizes):
    """The verdicts of a whole sequence of looks; samples: a tuple of (n, experiments)."""
    looks = Looks(sizes)
    verdict = np.full(samples[0].shape[1], INCONCLUSIVE, dtype="U16")
    for size in sizes:
        at_look = rule.decide_all(tuple(one[:size] for one in samples), looks.level).verdict
        verdict = np.where(np.isin(verdict, DECIDED), verdict, at_look)
    return verdict


def share(verdicts, *words):
    return float(np.isin(verdicts, words).mean())


@each_sequence
def test_an_effect_of_the_threshold_itself_is_called_in_5_percent(sizes):
    noise = np.random.default_rng(1).standard_normal((sizes[-1], EXPERIMENTS))
    verdicts = sequence(AtLeast(2.0), (noise + 2.0,), sizes)
    assert share(verdicts, *DECIDED) <= 0.05 + ERROR
    assert share(verdicts, *DECIDED) >= 0.04  # nothing is given away


@each_sequence
@pytest.mark.parametrize("spread", [1.0, 3.0, 30.0])
def test_two_arms_of_unequal_noise_are_on_the_safe_side(sizes, spread):
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((2, sizes[-1], EXPERIMENTS))
    verdicts = sequence(AtLeast(0.0), (a, -spread * b), sizes)
    assert share(verdicts, *DECIDED) <= 0.05 + ERROR


@each_sequence
@pytest.mark.parametrize("margin", [0.5, 1.0, 3.0])
def test_equivalence_is_seldom_wrong(sizes, margin):
    noise = np.random.default_rng(3).standard_normal((sizes[-1], EXPERIMENTS))
    at_the_edge = sequence(Within(margin), (noise + margin,), sizes)
    assert share(at_the_edge, SUPPORTED) <= 0.05 + ERROR
    assert share(at_the_edge, REFUTED) <= 0.025 + ERROR


@each_sequence
def test_a_ratio_at_an_edge_is_seldom_wrong(sizes):
    noise = 0.1 * np.random.default_rng(4).standard_normal((sizes[-1], EXPERIMENTS))
    for edge in (0.9, 1.2):
        verdicts = sequence(Between(0.9, 1.2), (noise + np.log(edge),), sizes)
        assert share(verdicts, *DECIDED) <= 0.05 + ERROR


def test_looking_at_plain_intervals_would_be_wrong_in_one_case_of_eight():
    """What the calibration is for."""
    noise = np.random.default_rng(5).standard_normal((20, EXPERIMENTS))
    wrong = np.zeros(EXPERIMENTS, dtype=bool)
    for size in (5, 8, 12, 20):
        wrong |= AtLeast(0.0).decide_all(noise[:size]).verdict != INCONCLUSIVE
    assert wrong.mean() > 0.1


def test_looks_that_are_not_calibrated_are_refused():
    with pytest.raises(NormLabError, match=r"4, 7 seeds are not calibrated.*5, 8, 12, 20"):
        Looks((4, 7))
    assert Looks((7,)).level.two_sided == 0.05
    assert Looks().reached(9) == [5, 8]


def test_the_rules_of_evidence_name_the_confidence_of_each_look():
    text = " ".join((CHECKOUT / "docs" / "evidence.md").read_text().split())
    for sizes, level in LEVELS.items():
        looks = listed([str(size) for size in sizes])
        share = f"{100 * level.confidence:.1f} %"
        assert re.search(rf"{share}[^%]* at {looks}\b", text), share
