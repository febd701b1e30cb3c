"""What each rule says about small arrays that one can check by eye."""

import math

import numpy as np
import pytest
from deciding import decide, verdict

from normlab.claims import rules
from normlab.claims.rules import AtLeast, Between, Exact, Rate, Rises, Within
from normlab.records.verdict import INCONCLUSIVE, NO_DATA, PARTLY, REFUTED, SUPPORTED, VERDICTS


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        ([3.5, 4, 4.5], SUPPORTED),
        ([1.4, 1.5, 1.6], REFUTED),
        ([-4, -5, -6], REFUTED),
        ([-3, 4, 5], INCONCLUSIVE),
        ([2, 2, 2], INCONCLUSIVE),  # of the threshold itself nothing is said
        ([2.5, 2.5, 2.5], SUPPORTED),
        ([0, 0, 0], REFUTED),
        ([9, 9], INCONCLUSIVE),
        ([0, 0], INCONCLUSIVE),
        ([9], INCONCLUSIVE),
        ([], INCONCLUSIVE),
        ([0, 2, 4.1, 2, 2.1], INCONCLUSIVE),
    ],
)
def test_at_least(difference, expected):
    assert verdict(AtLeast(2.0), difference) == expected


def test_a_finding_says_its_numbers():
    finding = decide(AtLeast(2.0), [3, 4, 5])
    numbers = (finding.effect, finding.low, finding.high)
    assert numbers == pytest.approx((4.0, 1.51586, 6.48414), abs=1e-5)
    assert (finding.n, finding.unit) == (3, "points")
    assert finding.p == pytest.approx(0.074180, abs=1e-6)
    assert finding.text == (
        "4 points, 95 % interval 1.52 to 6.48, from 3 seeds; supported above 2, refuted below"
    )
    one = decide(AtLeast(2.0), [3])
    assert (one.effect, one.low, one.high) == (3.0, None, None)


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        ([0.1, -0.1, 0.2], SUPPORTED),
        ([0.9, 1.1, 1.0], INCONCLUSIVE),
        ([1.9, 2.0, 2.1], REFUTED),
        ([-2, -2.1, -2], REFUTED),
        ([0, 0, 0], SUPPORTED),
        ([1, 1, 1], INCONCLUSIVE),
        ([0, 0], INCONCLUSIVE),
    ],
)
def test_within(difference, expected):
    assert verdict(Within(1.0), difference) == expected


def test_exact():
    rule = Exact(1e-6)
    assert verdict(rule, np.full(20, 1e-6)) == SUPPORTED
    assert verdict(rule, np.full(19, 1e-6)) == INCONCLUSIVE
    assert verdict(rule, [0.0] * 19 + [2e-6]) == REFUTED
    assert verdict(rule, [2e-6]) == REFUTED  # one counter-example is enough
    assert verdict(rule, []) == INCONCLUSIVE
    assert decide(rule, []).effect is None
    with pytest.raises(ValueError, match="absolute"):
        decide(rule, [-1.0])


def test_an_identity_may_be_partly_kept():
    rule = Exact(0, partly=2)
    assert rule.words == (
        "supported if 20 or more draws are within 0, partly supported within 2, "
        "refuted by any that is not"
    )
    assert verdict(rule, [0.0] * 20) == SUPPORTED
    assert verdict(rule, [0.0] * 19 + [2.0]) == PARTLY
    assert verdict(rule, [0.0] * 19 + [3.0]) == REFUTED
    assert verdict(rule, [1.0]) == INCONCLUSIVE
    assert verdict(rule, [3.0]) == REFUTED


def test_the_denial_of_an_identity():
    rule = rules.NotExact(1e-6)
    assert verdict(rule, np.zeros(20)) == REFUTED
    assert verdict(rule, [0.0] * 19 + [1.0]) == SUPPORTED
    assert verdict(rule, np.zeros(19)) == INCONCLUSIVE


def test_what_is_impossible_has_no_draw_near():
    rule = rules.Impossible(reached=1e-5, missed=0.01)
    near, far = np.zeros((20, 2)), np.ones((20, 2))
    assert verdict(rule, near) == REFUTED
    assert verdict(rule, far) == SUPPORTED
    assert verdict(rule, np.concatenate([near, far])) == INCONCLUSIVE
    assert verdict(rule, far[:19]) == INCONCLUSIVE
    assert verdict(rule, far[:0]) == INCONCLUSIVE


def test_what_a_source_states_needs_no_numbers():
    finding = decide(rules.Stated(REFUTED, "its paper says so"), [])
    assert (finding.verdict, finding.text, finding.n) == (REFUTED, "its paper says so", 0)


@pytest.mark.parametrize(
    ("successes", "trials", "above", "expected"),
    [
        (6, 6, True, SUPPORTED),
        (5, 5, True, INCONCLUSIVE),
        (0, 6, True, REFUTED),
        (0, 6, False, SUPPORTED),
        (6, 6, False, REFUTED),
        (0, 0, True, INCONCLUSIVE),
        (2, 2, True, INCONCLUSIVE),
    ],
)
def test_rate(successes, trials, above, expected):
    outcomes = [1] * successes + [0] * (trials - successes)
    assert verdict(Rate(0.5, above), outcomes) == expected


def test_two_trials_are_too_few_for_a_rate():
    # Their interval lies above the threshold.
    assert verdict(Rate(0.1), [1, 1]) == INCONCLUSIVE


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([1.0, 1.01, 0.99], SUPPORTED),
        ([1.2, 1.21, 1.2], REFUTED),
        ([2, 2.01, 2], REFUTED),
        ([0.2, 0.2, 0.2], REFUTED),
        ([1.0, 1.2, 1.1], INCONCLUSIVE),
        ([1.1, 1.1, 1.1], SUPPORTED),
        ([1.0, 1.0], INCONCLUSIVE),
    ],
)
def test_between(ratios, expected):
    assert verdict(Between(0.9, 1.11), np.log(ratios)) == expected


def test_a_ratio_may_have_an_open_end():
    assert verdict(Between(2.0, np.inf), np.log([5.0, 6.0, 5.5])) == SUPPORTED
    assert verdict(Between(0.0, 0.9), np.log([0.5, 0.6, 0.55])) == SUPPORTED


def test_rises():
    rise = np.array([[1, 2, 3.0], [1, 2.2, 3], [1, 2, 3.1]])
    assert verdict(Rises((1, 2, 64), 1.0), rise) == SUPPORTED
    assert verdict(Rises((64, 2, 1), 1.0), rise[:, ::-1]) == SUPPORTED
    assert verdict(Rises((3, 2, 1), 1.0), rise) == REFUTED
    assert verdict(Rises((1, 2, 3), 1.0), rise[:2]) == INCONCLUSIVE
    hump = [[0, 9, 5.0], [0.1, 9, 5], [0, 9.1, 5]]
    assert verdict(Rises((1, 2, 3), 1.0), hump) == INCONCLUSIVE


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([SUPPORTED] * 3, SUPPORTED),
        ([REFUTED] * 3, REFUTED),
        ([INCONCLUSIVE] * 2, INCONCLUSIVE),
        ([PARTLY] * 2, PARTLY),
        ([SUPPORTED, REFUTED], PARTLY),
        ([SUPPORTED, INCONCLUSIVE], INCONCLUSIVE),
        ([PARTLY, REFUTED], REFUTED),
        ([REFUTED, INCONCLUSIVE], REFUTED),  # of a conjunction one false clause is enough
        ([SUPPORTED, NO_DATA], NO_DATA),
        ([REFUTED, NO_DATA], REFUTED),
        ([SUPPORTED, PARTLY], PARTLY),
    ],
)
def test_combine(verdicts, expected):
    assert rules.combine(verdicts) == expected


def test_a_claim_has_a_clause():
    with pytest.raises(ValueError, match="at least one clause"):
        rules.combine([])


RULES = (
    AtLeast(2.0),
    Within(1.0),
    Exact(1e-6),
    Exact(0.0, partly=2.0),
    rules.NotExact(1e-6),
    rules.Impossible(1e-5, 0.01),
    Between(0.9, 1.11),
    Between(2.0, np.inf),
    Rises((1, 2, 3), 1.0),
    Rate(0.5),
    Rate(0.5, above=False),
    rules.Listed(("a", "b"), 0.8),
)
NUMBERS = {"Impossible": ("1e-05", "0.01"), "Listed": ("80",)}


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_rule_says_its_own_numbers(rule):
    own = [value for value in vars(rule).values() if isinstance(value, float) and value < np.inf]
    for number in NUMBERS.get(type(rule).__name__, [f"{value:g}" for value in own]):
        assert number in rule.words


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Between(3, np.inf), "supported at 3 or more, refuted below 3"),
        (Between(0, 0.9), "supported at 0.9 or less, refuted above 0.9"),
        (Between(0.9, 1.1), "supported inside 0.9 to 1.1, refuted outside 0.9 to 1.1"),
    ],
)
def test_an_open_end_is_not_called_a_number(rule, words):
    assert rule.words == words


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_zones_are_in_order_and_do_not_overlap(rule):
    edges = [edge for zone in rule.zones() for edge in (zone.low, zone.high)]
    assert edges == sorted(edges)
    assert all(zone.low < zone.high for zone in rule.zones())
    assert {zone.verdict for zone in rule.zones()} <= set(VERDICTS)


def inside(zone):
    """Effects well inside a zone."""
    if math.isinf(zone.low):
        return [zone.high - 0.1, zone.high - 0.3]
    if math.isinf(zone.high):
        return [zone.low + 0.1, zone.low + 9]
    return [(zone.low + zone.high) / 2]


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.zones()], ids=repr)
def test_a_rule_decides_as_its_zones_say(rule):
    """An effect without any noise, on each side of each edge."""
    for zone in rule.zones():
        for effect in inside(zone):
            assert verdict(rule, values(rule, effect)) == zone.verdict


def values(rule, effect):
    """Five seeds, all of the same effect; 200 trials for a rate."""
    if isinstance(rule, Rate):
        return np.arange(200) < 200 * effect
    if isinstance(rule, Rises):
        return np.tile([0, effect / 2, effect], (5, 1))
    return np.full(5, np.log(effect) if rule.log else effect)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad):
    array = [1.0, bad, 2.0]
    for rule in (AtLeast(1.0), Within(1.0), Exact(1.0), Between(0.5, 2.0), Rate(0.5)):
        with pytest.raises(ValueError):
            decide(rule, array)
    table = [array] * 3
    for rule in (Rises((1, 2, 3), 1.0), rules.Impossible(1e-5, 0.01), rules.ControlledExact(1.0)):
        with pytest.raises(ValueError):
            decide(rule, table)
    with pytest.raises(ValueError):
        decide(rules.Listed(("a", "b", "c"), 0.8), array)


@pytest.mark.parametrize(
    "refused",
    [
        lambda: AtLeast(np.nan),
        lambda: AtLeast(np.inf),
        lambda: AtLeast(-1.0),
        lambda: Within(0.0),
        lambda: Within(-1.0),
        lambda: Exact(-1.0),
        lambda: Exact(1.0, partly=0.5),
        lambda: Between(2.0, 0.5),
        lambda: Rate(1.5),
        lambda: Rises((1, 2), -1.0),
        lambda: decide(Rises((1, np.nan, 2), 1.0), np.ones((3, 3))),
        lambda: decide(Rises((1, 2), 1.0), np.ones((3, 3))),
        lambda: decide(Rate(0.5), [0, 1, 4]),
        lambda: decide(AtLeast(1.0), np.ones((3, 1))),
        lambda: rules.NotExact(-1.0),
        lambda: rules.ControlledExact(np.nan),
        lambda: rules.Impossible(0.01, 1e-5),
        lambda: rules.Impossible(np.nan, 0.01),
        lambda: decide(rules.Impossible(1e-5, 0.01), -np.ones((20, 2))),
        lambda: rules.Listed(("a", "a", "b"), 1.0),
        lambda: rules.Stated("true", "its paper says so"),
    ],
)
def test_what_cannot_be_is_refused(refused):
    with pytest.raises(ValueError):
        refused()
