"""Rules: how numbers decide. Each decides, says its own words, and gives its zones to the
figure."""

from normlab.claims.rules.cells import MostCells
from normlab.claims.rules.combine import combine
from normlab.claims.rules.differences import AtLeast, Rises, Within
from normlab.claims.rules.exact import (
    ControlledExact,
    Exact,
    Impossible,
    Listed,
    NotExact,
    Rate,
    Stated,
)
from normlab.claims.rules.ratios import AtLeastTimes, Between
from normlab.claims.rules.reason import MainReason
from normlab.claims.rules.rule import ALPHA, MIN_DRAWS, MIN_SEEDS, Decision, Finding, Rule
from normlab.claims.stats import Values

__all__ = [
    "ALPHA", "MIN_DRAWS", "MIN_SEEDS", "AtLeast", "AtLeastTimes", "Between", "ControlledExact",
    "Decision", "Exact", "Finding", "Impossible", "Listed", "MainReason", "MostCells", "NotExact",
    "Rate", "Rises", "Rule", "Stated", "Values", "Within", "combine",
]  # fmt: skip
