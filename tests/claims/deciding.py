"""Small arrays of values through one rule: what the tests of rules share."""

import numpy as np

from normlab.claims.rules import Rises


def decide(rule, values):
    """The finding of `rule` for `values`; settings are independent samples, one a column."""
    array = np.array(values, dtype=float)
    return rule.decide(tuple(array.T) if isinstance(rule, Rises) else array, "points")


def verdict(rule, values):
    """Its verdict."""
    return decide(rule, values).verdict
