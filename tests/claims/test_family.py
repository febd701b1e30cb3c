"""All deciding clauses as one family of tests."""

from dataclasses import replace

import numpy as np
import pytest

from normlab.claims.family import family
from normlab.claims.looks import ALPHA, LEVELS
from normlab.claims.rules import AtLeast, Between, Rate, Rises, Within
from normlab.records.verdict import INCONCLUSIVE, REFUTED, SUPPORTED, PartVerdict, Verdict

PART = PartVerdict("p", "", "", "", SUPPORTED)


def of(*parts):
    return Verdict("a", "", (), SUPPORTED, parts)


def test_a_verdict_that_needed_luck_is_lost_among_many_that_found_nothing():
    sure, lucky = replace(PART, p=1e-6), replace(PART, p=0.04)
    open_ = replace(PART, verdict=INCONCLUSIVE, p=0.5)
    assert family([of(sure, lucky)]).kept == 2
    many = family([of(sure, lucky), *[of(open_)] * 8])
    assert (many.clauses, many.tested, many.kept, many.exact) == (10, 2, 1, 0)
    assert "10 deciding clauses 2 are decided by a test at 5 %, and 1 of these keep" in many.words


def test_scope_is_no_test_and_an_identity_has_no_luck():
    scope = replace(PART, p=0.5, decides=False)
    found = family([of(replace(PART, verdict=REFUTED), scope)])
    assert (found.clauses, found.tested, found.kept, found.exact) == (1, 0, 0, 1)


@pytest.mark.parametrize("rule", [AtLeast(1.0), Within(1.0), Between(0.8, 3.0)], ids=repr)
@pytest.mark.parametrize("level", [LEVELS[5, 8], LEVELS[5, 8, 12, 20]])
def test_p_is_below_5_percent_just_where_a_verdict_is_decided(rule, level):
    rng = np.random.default_rng(0)
    a, b = rng.normal(rng.uniform(-3, 3, 4000), 1.0, (2, 6, 4000))
    for sample in (a, (a, 0.3 * b)):
        decision = rule.decide_all(sample, level)
        np.testing.assert_array_equal(decision.verdict != INCONCLUSIVE, decision.p < ALPHA)


def test_p_of_a_trend_and_of_a_rate_agree_with_their_verdicts():
    rng = np.random.default_rng(1)
    settings = tuple(rng.normal(rng.uniform(-3, 3, 4000), 1.0, (6, 4000)) for _ in range(3))
    decision = Rises((1, 2, 3), 1.0).decide_all(settings, LEVELS[5, 8])
    np.testing.assert_array_equal(decision.verdict != INCONCLUSIVE, decision.p < ALPHA)
    for successes in range(13):
        outcomes = (np.arange(12) < successes).astype(float)
        finding = Rate(0.5).decide(outcomes, "", LEVELS[5, 8, 12])
        assert (finding.verdict != INCONCLUSIVE) == (finding.p < ALPHA)
