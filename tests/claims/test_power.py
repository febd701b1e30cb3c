"""Power is simulated before a run, printed, and asked for."""

from dataclasses import replace

import pytest

from normlab.claims.looks import Looks
from normlab.claims.outlook import parts_in_words, plan_in_words
from normlab.claims.power import check_powers, power
from normlab.claims.registry import load_claim
from normlab.claims.rules import Between, Exact
from normlab.errors import NormLabError


@pytest.fixture
def claim(toy):
    return load_claim("toy", toy(seeds=5))


def planned(claim, expected, noise, sizes=(5, 8)):
    part = replace(claim.clauses[0], expected=expected, noise=noise)
    protocol = replace(claim.protocols["quick"], looks=Looks(sizes))
    return replace(claim, clauses=(part,), protocols={"quick": protocol})


def test_power_grows_with_the_effect_and_with_the_looks(claim):
    weak, strong = (power(planned(claim, e, 1.0).clauses[0], Looks((5, 8))) for e in (1.5, 3.0))
    assert weak.by_look[5] < weak.by_look[8] < strong.by_look[8]
    assert strong.supported > 0.9 and strong.refuted == 0
    against = power(planned(claim, -1.0, 1.0).clauses[0], Looks((5, 8)))
    assert against.refuted > 0.9
    # Of a ratio: 1.5 times, with a noise of 10 %.
    ratio = replace(claim.clauses[0], rule=Between(1.2, 2.0), expected=1.5, noise=0.1)
    assert power(ratio, Looks((5,))).supported > 0.9


def test_what_has_no_interval_or_no_expectation_has_no_power(claim):
    assert power(claim.clauses[0], Looks()) is None
    exact = replace(claim.clauses[0], rule=Exact(1.0), expected=1.0, noise=1.0)
    assert power(exact, Looks()) is None


def test_a_clause_that_would_hardly_be_decided_is_refused(claim):
    check_powers(planned(claim, 3.0, 1.0), planned(claim, 3.0, 1.0).protocols["quick"])
    weak = planned(claim, 1.2, 1.0)
    with pytest.raises(NormLabError, match=r"toy, greater: an effect of 1.2 .* at 8 seeds: plan"):
        check_powers(weak, weak.protocols["quick"])


def test_what_a_claim_will_cost_and_decide_in_words(claim):
    one = planned(claim, 3.0, 1.0)
    one = replace(one, scope=(replace(one.clauses[0], name="also", stands_for="1,000 layers"),))
    words = list(parts_in_words(one, one.protocols["quick"]))
    assert "power: an effect of 3 with a noise of 1 a seed is supported in 9" in words[2]
    assert words[3].startswith("  scope also") and words[-1] == "    stands for: 1,000 layers"
    plan = plan_in_words(one, "quick", one.protocols["quick"], {})
    assert plan == (
        "profile quick: 2 arms, looks at 5, 8 seeds; 10 trials to the first look, about 0.2 "
        "minutes of one core; 16 to the last, about 0.3 minutes of one core"
    )
