"""How often a clause will be decided, simulated before it runs: its rule, its looks, its noise."""

from typing import NamedTuple

import numpy as np

from normlab.claims.claim import Claim, Part, Protocol
from normlab.claims.looks import Looks
from normlab.claims.rules import IntervalRule
from normlab.errors import NormLabError
from normlab.records.verdict import REFUTED, SUPPORTED

EXPERIMENTS = 4_000
LEAST = 0.5  # at the largest number of seeds; below it the rule cannot say what it is asked


class Power(NamedTuple):
    """Shares of simulated experiments in which the effect that is expected is decided.

    by_look: the share decided at each look or before, by its number of seeds.
    """

    supported: float
    refuted: float
    by_look: dict[int, float]


def power(part: Part, looks: Looks, seed: int = 0) -> Power | None:
    """Of normal noise around the expected effect; None for a part that states none, or no interval.

    An expected effect and a noise are those of one seed's effect: of a difference, both arms' noise
    together. A ratio's are factors, and its noise is of the logarithm.
    """
    if part.expected is None or part.noise is None or not isinstance(part.rule, IntervalRule):
        return None
    rng = np.random.default_rng(seed)
    centre = np.log(part.expected) if part.rule.log else part.expected
    values = centre + part.noise * rng.standard_normal((looks.most, EXPERIMENTS))
    verdict = np.full(EXPERIMENTS, "", dtype="U16")
    by_look = {}
    for size in looks.sizes:
        at_look = part.rule.decide_all(values[:size], looks.level).verdict
        # What an earlier look has decided stays.
        open_ = ~np.isin(verdict, (SUPPORTED, REFUTED))
        verdict[open_] = at_look[open_]
        by_look[size] = float(np.isin(verdict, (SUPPORTED, REFUTED)).mean())
    supported, refuted = (float((verdict == word).mean()) for word in (SUPPORTED, REFUTED))
    return Power(supported, refuted, by_look)


def check_powers(claim: Claim, protocol: Protocol) -> None:
    """Return if every clause of known effect and noise is decided at least half of the time.

    Raises:
        NormLabError: one is not, at the largest number of seeds.
    """
    for part in claim.clauses:
        found = power(part, protocol.looks)
        most = protocol.looks.most
        if found is not None and found.by_look[most] < LEAST:
            raise NormLabError(
                f"{claim.slug}, {part.name}: an effect of {part.expected:g} with a noise of "
                f"{part.noise:g} is decided in {found.by_look[most]:.0%} of cases at {most} seeds: "
                f"plan for at least {LEAST:.0%}, with more seeds or another threshold."
            )
