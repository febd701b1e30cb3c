"""Claims that choose rates in their own trials: what their protocols say, and the rule AtMost."""

import numpy as np

from normlab.claims.protocols.at_most import AtMost
from normlab.claims.protocols.images import image_protocols
from normlab.claims.protocols.own_rates import with_own_rates
from normlab.claims.rules import AtLeast
from normlab.records.verdict import REFUTED, SUPPORTED


def test_rates_and_shorter_budget_become_options():
    plain = image_protocols()
    own = with_own_rates(plain, trainings=2, seconds=7)
    assert set(own) == set(plain) - {"gpu"}
    full = own["full"]
    assert full.options["overrides"] == full.overrides == plain["full"].overrides
    assert full.options["rates"] == plain["full"].learning_rates and not full.learning_rates
    assert full.options["choice"] == plain["full"].choice and not full.choice
    assert full.seconds_per_trial == 2 * (400 + 3 * 100) + 7
    quick = plain["quick"]
    each = quick.seconds_per_trial + 4 * quick.seconds_per_choice
    assert own["quick"].seconds_per_trial == 2 * each
    assert not own["smoke"].options["extend"]


def test_at_most_is_at_least_the_other_way_round():
    rng = np.random.default_rng(0)
    values = rng.normal(1.0, 1.0, (5, 2000)) + np.linspace(-2, 2, 2000)
    most, least = (rule(1.0).decide_all(values) for rule in (AtMost, AtLeast))
    assert ((most.verdict == SUPPORTED) == (least.verdict == REFUTED)).all()
    assert ((most.verdict == REFUTED) == (least.verdict == SUPPORTED)).all()
    assert (most.p == least.p).all() and {SUPPORTED, REFUTED} < set(most.verdict)
    at_the_edge = AtMost(1.0).decide_all(rng.normal(1.0, 1.0, (5, 4000))).verdict
    assert np.isin(at_the_edge, (SUPPORTED, REFUTED)).mean() <= 0.06
    below, above = AtMost(1.0).zones()
    assert (below.verdict, above.verdict) == (SUPPORTED, REFUTED)
    assert AtMost(1.0).words == "supported below 1, refuted above"
