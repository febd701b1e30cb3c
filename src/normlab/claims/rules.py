"""Rules: pure functions from paired arrays to a verdict with its numbers. Torch-free.

Every rule is a `_decide_...` of arrays (n, ...), so that its errors can be simulated for many experiments at once, and
a function of one experiment that puts the numbers into a `Finding`. The unit of replication is the seed: fewer than
three are inconclusive. tests/claims/test_rules.py holds the simulated error and power of each rule.

The t intervals hold their level for normal noise and are conservative for symmetric heavy tails. They do not hold for
an arm that trains well and sometimes collapses: a few seeds may miss the collapse altogether. Decide such an arm by
`rate`. And do not choose an arm by the seeds that then decide about it: make each arm a part, and `combine` them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from normlab.claims import stats
from normlab.records.verdict import INCONCLUSIVE, PARTLY, REFUTED, SUPPORTED

MIN_SEEDS = 3
MIN_DRAWS = 20  # all within the tolerance: 95 % sure that fewer than 14 % of draws are not
ALPHA = 0.05


@dataclass(frozen=True)
class Finding:
    """What a rule found: the verdict, the effect with its 95 % interval, and one sentence with the numbers.

    `p` is the p-value of the null hypothesis that a (partly) supported verdict rejects; None says that the finding is
    exact (an identity, an audit). `combine` needs it.
    """

    verdict: str
    effect: float | None
    low: float | None
    high: float | None
    unit: str
    n: int
    text: str
    p: float | None = None


class Decision(NamedTuple):
    """Verdicts of many experiments, effects with 95 % intervals, and p-values: arrays of one shape."""

    verdict: np.ndarray
    effect: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray


def greater_by(difference: np.ndarray, margin: float, unit: str = "points") -> Finding:
    """D(margin) of the catalogue for paired differences (n,), positive in the direction of the claim.

    Checked in this order: supported if the 95 % interval lies above 0, the mean reaches the margin, and the 90 %
    interval lies above half the margin; refuted if the 95 % interval lies below half the margin (the opposite sign
    included); partly supported if it lies above 0.

    The 90 % interval is ours: without it, noise of about the margin's size lets 7 % of experiments (n = 5) support an
    effect that is so small (half the margin) that more seeds would refute it; where the interval is narrower than the
    margin it changes nothing. So no effect is called (partly) supported in at most 2.5 % of cases, half the margin or
    less supported in at most 5 %, more than that refuted in at most 2.5 %. `supported` says that there is an effect and
    that its estimate reaches the margin; the effect itself may be less. An effect of the margin and 3.3 (n = 3) or 1.7
    (n = 5) standard deviations is found in 80 % of cases.
    """
    _check_bounds(margin)
    asked = f"supported from {margin:g}, refuted below {margin / 2:g}"
    return _finding(
        stats.finite(difference, 1), lambda values: _decide_greater_by(values, margin), unit, asked
    )


def _decide_greater_by(difference: np.ndarray, margin: float) -> Decision:
    mean, low, high = stats.t_interval(difference)
    low90 = stats.t_interval(difference, 1 - 2 * ALPHA).low
    verdict = np.select(
        [(low > 0) & (mean >= margin) & (low90 > margin / 2), high < margin / 2, low > 0],
        [SUPPORTED, REFUTED, PARTLY],
        INCONCLUSIVE,
    )
    return Decision(verdict, mean, low, high, stats.p_greater(difference))


def equivalent_within(difference: np.ndarray, margin: float, unit: str = "points") -> Finding:
    """Two one-sided tests at 5 % (Schuirmann, 1987) for paired differences (n,).

    Supported if the 90 % interval lies inside +-margin, refuted if the 95 % interval lies wholly outside. An effect of
    the margin or more is called equivalent in at most 5 % of cases, a smaller one refuted in at most 5 % (2.5 % where
    the margin is large beside the noise, so that only one side counts).
    """
    _check_bounds(margin)
    if margin == 0:
        raise ValueError(
            "nothing can be shown to be equivalent within 0: an identity is for exact_within"
        )
    asked = f"supported if within {margin:g} either way at 90 %"
    return _finding(
        stats.finite(difference, 1), lambda values: _decide_equivalent(values, margin), unit, asked
    )


def _decide_equivalent(difference: np.ndarray, margin: float) -> Decision:
    mean, low, high = stats.t_interval(difference)
    _, low90, high90 = stats.t_interval(difference, 1 - 2 * ALPHA)
    verdict = np.select(
        [(low90 > -margin) & (high90 < margin), (low > margin) | (high < -margin)],
        [SUPPORTED, REFUTED],
        INCONCLUSIVE,
    )
    return Decision(verdict, mean, low, high, stats.p_inside(difference, -margin, margin))


def exact_within(errors: np.ndarray, tolerance: float, unit: str = "largest error") -> Finding:
    """An identity, by the absolute errors (n,) of n random draws.

    Refuted by a single counter-example, however few the draws; supported if 20 or more draws have none. That leaves
    an identity that fails on 14 % of draws or more unnoticed in at most 5 % of cases.
    """
    _check_bounds(tolerance)
    errors = stats.finite(errors, 1)
    if (errors < 0).any():
        raise ValueError("errors are absolute: a negative one is a bug")
    n = len(errors)
    largest = float(errors.max()) if n else None
    verdict = SUPPORTED if n >= MIN_DRAWS else INCONCLUSIVE
    if largest is not None and largest > tolerance:
        verdict = REFUTED
    worst = "no draws" if largest is None else f"the largest error of {n} draws is {largest:.2g}"
    text = f"{worst}; supported if {MIN_DRAWS} or more draws are within {tolerance:g}, refuted by any that is not"
    return Finding(verdict, largest, None, None, unit, n, text)


def rate(
    successes: int, trials: int, threshold: float, above: bool = True, unit: str = "share"
) -> Finding:
    """A share of trials against a threshold, by the exact 95 % interval (Clopper and Pearson, 1934).

    Supported if the interval lies on the claimed side of the threshold, refuted if on the other: each is false in at
    most 2.5 % of cases at the threshold. Few trials decide little: 5 of 5 support a threshold below 0.478, 3 of 3 one
    below 0.292, and a majority (0.5) needs 6 of 6.
    """
    if not 0 <= successes <= trials or not 0 <= threshold <= 1:
        raise ValueError(f"{successes} of {trials} against a threshold of {threshold} is no rate")
    asked = f"supported {'above' if above else 'below'} {threshold:g}"
    if trials == 0:
        return Finding(INCONCLUSIVE, None, None, None, unit, 0, f"no trials; {asked}")
    mean, low, high = (float(value) for value in stats.clopper_pearson(successes, trials))
    over, under = low > threshold, high < threshold
    verdict = INCONCLUSIVE
    if trials >= MIN_SEEDS and (over or under):
        verdict = SUPPORTED if over == above else REFUTED
    text = f"{successes} of {trials}, 95 % interval {low:.3g} to {high:.3g}; {asked}, refuted on the other side"
    return Finding(
        verdict,
        mean,
        low,
        high,
        unit,
        trials,
        text,
        stats.p_rate(successes, trials, threshold, above),
    )


def interaction(
    a1: np.ndarray,
    a0: np.ndarray,
    b1: np.ndarray,
    b0: np.ndarray,
    margin: float,
    unit: str = "points",
) -> Finding:
    """`greater_by` of (a1 - a0) - (b1 - b0), four arrays (n,) paired by seed: is the effect larger in a than in b?"""
    arrays = [stats.finite(array, 1) for array in (a1, a0, b1, b0)]
    if len({len(array) for array in arrays}) != 1:
        raise ValueError(
            f"paired arrays have one length, these have {[len(array) for array in arrays]}"
        )
    return greater_by((arrays[0] - arrays[1]) - (arrays[2] - arrays[3]), margin, unit)


def monotone_trend(
    values: np.ndarray, order: Sequence[float], margin: float, unit: str = "points"
) -> Finding:
    """Values (n, k) of k settings rise with `order` (k,); negate `values` for a fall.

    The effect is the rise, from the lowest to the highest rank of `order`, of each seed's least-squares line over the
    ranks; it goes through `greater_by`. That alone would call a curve that rises and then falls a monotone trend, so
    `supported` asks also that no setting lies as much as the margin below one of lower rank, each shown by a one-sided
    test at 5 %: all must pass, so no correction is due (Berger, 1982), and a fall of the margin anywhere is called
    supported in at most 5 % of cases. A rise that does not show this much is partly supported, so plan for a margin of
    at least 6 (n = 3) or 3 (n = 5) standard deviations of a value.
    """
    _check_bounds(margin)
    values = stats.finite(values, 2)
    ranks = stats.finite(order, 1)
    asked = (
        f"supported from a rise of {margin:g} with no fall of as much, refuted below {margin / 2:g}"
    )
    return _finding(values, lambda arrays: _decide_trend(arrays, ranks, margin), unit, asked)


def _decide_trend(values: np.ndarray, order: np.ndarray, margin: float) -> Decision:
    """(n, k, ...), (k,) -> (...)."""
    decision = _decide_greater_by(stats.rank_rise(values, order), margin)
    pairs = [(i, j) for i, j in combinations(np.argsort(order), 2) if order[i] < order[j]]
    steps = np.stack([values[:, j] - values[:, i] for i, j in pairs])  # (pairs, n, ...)
    low90 = stats.t_interval(np.moveaxis(steps, 0, 1), 1 - 2 * ALPHA).low  # (pairs, ...)
    falls = ~(low90 > -margin).all(axis=0)
    return decision._replace(
        verdict=np.where((decision.verdict == SUPPORTED) & falls, PARTLY, decision.verdict)
    )


def ratio_in_interval(
    log_ratio: np.ndarray,
    low: float,
    high: float,
    partly: tuple[float, float] | None = None,
    unit: str = "times",
) -> Finding:
    """Is a ratio, given as natural logarithms (n,) paired by seed, between `low` and `high` (0 and inf: open ends)?

    t interval on the log scale, transformed back: supported if it lies inside [low, high]; partly supported if inside
    the wider `partly`; refuted if wholly outside the wider of the two. An interval beyond [low, high] that crosses the
    edge of `partly` is inconclusive: calling it refuted would be false for most ratios just inside that edge.
    """
    wide = partly or (low, high)
    if not 0 <= wide[0] <= low < high <= wide[1]:
        raise ValueError(f"[{low}, {high}] and the wider {wide} are no nested intervals of ratios")
    asked = f"supported inside {low:g} to {high:g}, refuted outside {wide[0]:g} to {wide[1]:g}"
    return _finding(
        stats.finite(log_ratio, 1),
        lambda values: _decide_ratio(values, (low, high), wide),
        unit,
        asked,
    )


def _decide_ratio(
    log_ratio: np.ndarray, inner: tuple[float, float], wide: tuple[float, float]
) -> Decision:
    mean, low, high = stats.t_interval(log_ratio)
    with np.errstate(divide="ignore"):
        (inner_low, inner_high), (wide_low, wide_high) = np.log(inner), np.log(wide)
    verdict = np.select(
        [
            (low >= inner_low) & (high <= inner_high),
            (low >= wide_low) & (high <= wide_high),
            (high < wide_low) | (low > wide_high),
        ],
        [SUPPORTED, PARTLY, REFUTED],
        INCONCLUSIVE,
    )
    with np.errstate(over="ignore"):
        return Decision(
            verdict,
            np.exp(mean),
            np.exp(low),
            np.exp(high),
            stats.p_inside(log_ratio, wide_low, wide_high),
        )


def in_words(difference: np.ndarray, unit: str) -> str:
    """A paired difference (n,) with its 95 % t interval, undecided: for what no rule was written for."""
    mean, low, high = (float(value) for value in stats.t_interval(difference))
    interval = f" [{low:.3g}, {high:.3g}]" if len(difference) > 1 else ""
    return f"{mean:+.3g}{interval} {unit}, n = {len(difference)}"


def combine(findings: Sequence[Finding]) -> str:
    """The verdict of a claim from those of its parts.

    Supported or refuted if all parts are. Partly supported if at least one part is (partly) supported, and that is more
    than chance among so many parts: with three or more parts of no effect, one is called supported in over 5 % of
    cases, so the positive parts' p-values must reject "no part has anything" at 5 % (Simes, 1986). With two parts
    decided by 95 % intervals one positive part is always enough. All else is inconclusive.
    """
    if not findings:
        raise ValueError("a claim has at least one part")
    verdicts = {finding.verdict for finding in findings}
    if len(verdicts) == 1:
        return findings[0].verdict
    p_values = [finding.p or 0.0 for finding in findings if finding.verdict in (SUPPORTED, PARTLY)]
    return PARTLY if stats.simes(p_values, len(findings)) <= ALPHA else INCONCLUSIVE


def _finding(
    values: np.ndarray, decide: Callable[[np.ndarray], Decision], unit: str, asked: str
) -> Finding:
    """`decide` on one experiment's (n, ...), as a Finding; fewer than three seeds are inconclusive."""
    n = len(values)
    if n == 0:
        return Finding(INCONCLUSIVE, None, None, None, unit, 0, f"no seeds; {asked}")
    decision = decide(values)
    verdict = str(decision.verdict) if n >= MIN_SEEDS else INCONCLUSIVE
    effect, low, high = (float(value) for value in decision[1:4])
    interval = f", 95 % interval {low:.3g} to {high:.3g}," if n > 1 else ""
    text = f"{effect:.3g} {unit}{interval} from {n} seed{'s' * (n > 1)}; {asked}"
    if n == 1:
        return Finding(verdict, effect, None, None, unit, n, text, float(decision.p))
    return Finding(verdict, effect, low, high, unit, n, text, float(decision.p))


def _check_bounds(margin: float) -> None:
    if not 0 <= margin < np.inf:
        raise ValueError(f"a margin or tolerance is finite and not negative, not {margin}")
