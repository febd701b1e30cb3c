"""Rules: how numbers decide. Each decides, says its own words, and gives its zones to the
figure."""

from normlab.claims.looks import ALPHA
from normlab.claims.rules.combine import combine
from normlab.claims.rules.differences import AtLeast, FallsBelow, Rises, Within
from normlab.claims.rules.exact import (
    ControlledExact,
    Exact,
    Impossible,
    Listed,
    NotExact,
    Rate,
    Stated,
)
from normlab.claims.rules.ratios import Between
from normlab.claims.rules.rule import (
    MIN_DRAWS,
    MIN_SEEDS,
    Decision,
    Finding,
    IntervalRule,
    Rule,
)
from normlab.claims.stats import Sample, Values

__all__ = [
    "ALPHA", "MIN_DRAWS", "MIN_SEEDS", "AtLeast", "Between", "ControlledExact", "Decision", "Exact",
    "FallsBelow", "Finding", "Impossible", "IntervalRule", "Listed", "NotExact", "Rate", "Rises",
    "Rule", "Sample", "Stated", "Values", "Within", "combine",
]  # fmt: skip
