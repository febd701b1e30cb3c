"""Rules without an interval of a mean: identities, shares, lists, and what sources state."""

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from normlab.claims import stats
from normlab.claims.looks import ONE_LOOK, Level
from normlab.claims.rules.rule import MIN_DRAWS, MIN_SEEDS, Finding, Rule, check_margin
from normlab.claims.stats import Sample, Values
from normlab.records.verdict import INCONCLUSIVE, PARTLY, REFUTED, SUPPORTED, VERDICTS, Zone


@dataclass(frozen=True)
class Exact(Rule):
    """An identity, by the absolute errors (n,) of n random draws.

    Refuted by a single counter-example, however few the draws; supported if 20 or more draws have
    none. That leaves an identity that fails on 14 % of draws or more unnoticed in at most 5 % of
    cases. Errors up to the wider `partly`, where there is one, still give partly supported.
    """

    tolerance: float
    partly: float | None = None

    def __post_init__(self) -> None:
        check_margin(self.tolerance)
        if self.partly is not None and not self.tolerance < self.partly < math.inf:
            raise ValueError(f"{self.partly} is no wider tolerance than {self.tolerance}")

    @property
    def words(self) -> str:
        within = f"supported if {MIN_DRAWS} or more draws are within {self.tolerance:g}"
        partly = "" if self.partly is None else f", partly supported within {self.partly:g}"
        return f"{within}{partly}, refuted by any that is not"

    def decide(self, values: Sample, unit: str, level: Level = ONE_LOOK) -> Finding:
        """(n,) absolute errors."""
        errors = _errors(stats.one_sample(values))
        n = len(errors)
        largest = float(errors.max()) if n else 0.0
        # In this order: a counter-example refutes however few the draws, all else needs enough.
        verdict = SUPPORTED if largest <= self.tolerance else PARTLY
        if largest > (self.tolerance if self.partly is None else self.partly):
            verdict = REFUTED
        elif n < MIN_DRAWS:
            verdict = INCONCLUSIVE
        effect = largest if n else None
        return Finding(verdict, effect, None, None, unit, n, f"{_worst(errors)}; {self.words}")


@dataclass(frozen=True)
class NotExact(Rule):
    """The denial of an identity: refuted where `Exact` would support it, supported by an
    exception."""

    tolerance: float

    def __post_init__(self) -> None:
        check_margin(self.tolerance)

    @property
    def words(self) -> str:
        within = f"refuted if {MIN_DRAWS} or more draws are within {self.tolerance:g}"
        return f"{within}, supported by any that is not"

    def decide(self, values: Sample, unit: str, level: Level = ONE_LOOK) -> Finding:
        """(n,) absolute errors."""
        errors = stats.one_sample(values)
        same = Exact(self.tolerance).decide(errors, unit)
        verdict = {SUPPORTED: REFUTED, REFUTED: SUPPORTED}.get(same.verdict, same.verdict)
        text = f"{_worst(_errors(errors))}; {self.words}"
        return Finding(verdict, same.effect, None, None, unit, same.n, text)


@dataclass(frozen=True)
class ControlledExact(Rule):
    """An identity beside a control that is known to hold: errors (n, 2), the control's last.

    Decides as `Exact`, except that it refutes only where `Exact` supports the control: without the
    control right, an error of the identity may be one of the measurement.
    """

    tolerance: float

    def __post_init__(self) -> None:
        check_margin(self.tolerance)

    @property
    def words(self) -> str:
        return f"{Exact(self.tolerance).words}, if all of the control's are within it"

    def decide(self, values: Sample, unit: str, level: Level = ONE_LOOK) -> Finding:
        """(n, 2) absolute errors."""
        rule = Exact(self.tolerance)
        both = stats.one_sample(values)
        own, control = (rule.decide(both[:, column], unit) for column in (0, 1))
        verdict = own.verdict
        if verdict == REFUTED and control.verdict != SUPPORTED:
            verdict = INCONCLUSIVE
        worst, beside = (_worst(_errors(both[:, column])) for column in (0, 1))
        text = f"{worst}, and of the control {beside}; {self.words}"
        return Finding(verdict, own.effect, None, None, unit, own.n, text)


@dataclass(frozen=True)
class Impossible(Rule):
    """Nothing comes near: refuted if the errors (n, k) of all draws are within `reached`, supported
    if each is above `missed`, else inconclusive."""

    reached: float
    missed: float

    def __post_init__(self) -> None:
        if not 0 <= self.reached <= self.missed < math.inf:
            raise ValueError(f"{self.reached} and {self.missed} are no rising bounds of an error")

    @property
    def words(self) -> str:
        return f"refuted within {self.reached:g}, supported above {self.missed:g}"

    def decide(self, values: Sample, unit: str, level: Level = ONE_LOOK) -> Finding:
        """(n, k) relative errors of n draws."""
        errors = _errors(stats.one_sample(values), 2)
        n = len(errors)
        if n == 0:
            return Finding(INCONCLUSIVE, None, None, None, unit, 0, f"no draws; {self.words}")
        least, largest = float(errors.min()), float(errors.max())
        verdict = INCONCLUSIVE
        if n >= MIN_DRAWS and largest <= self.reached:
            verdict = REFUTED
        elif n >= MIN_DRAWS and least > self.missed:
            verdict = SUPPORTED
        text = f"relative errors of {n} draws from {least:.2g} to {largest:.2g}; {self.words}"
        return Finding(verdict, largest, None, None, unit, n, text)


@dataclass(frozen=True)
class Rate(Rule):
    """Of trials (n,), 1 or 0: their share against a threshold, by the exact 95 % interval.

    Clopper & Pearson, 1934. Supported if the interval lies on the claimed side of the threshold,
    refuted if on the other: each is false in at most 2.5 % of cases at the threshold. Few trials
    decide little: 5 of 5 support a threshold below 0.478, 3 of 3 one below 0.292, and a majority
    (0.5) needs 6 of 6.
    """

    threshold: float
    above: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"a threshold of {self.threshold} is no share")

    @property
    def words(self) -> str:
        side = "above" if self.above else "below"
        return f"supported {side} {self.threshold:g}, refuted on the other side"

    def decide(self, values: Sample, unit: str, level: Level = ONE_LOOK) -> Finding:
        """(n,) of 1 for a success and 0 for none."""
        outcomes = stats.finite(stats.one_sample(values), 1)
        if not np.isin(outcomes, (0, 1)).all():
            raise ValueError("a rate is of outcomes that are 0 or 1")
        successes, trials = int(outcomes.sum()), len(outcomes)
        if trials == 0:
            return Finding(INCONCLUSIVE, None, None, None, unit, 0, f"no trials; {self.words}")
        interval = stats.clopper_pearson(successes, trials, level.confidence)
        mean, low, high = (float(value) for value in interval)
        # An interval that only touches the threshold decides nothing.
        over, under = low > self.threshold, high < self.threshold
        verdict = INCONCLUSIVE
        if trials >= MIN_SEEDS and (over or under):
            verdict = SUPPORTED if over == self.above else REFUTED
        counted = f"{successes} of {trials}, 95 % interval {low:.3g} to {high:.3g}"
        p = min(1.0, level.either_side * stats.p_rate(successes, trials, self.threshold))
        return Finding(verdict, mean, low, high, unit, trials, f"{counted}; {self.words}", p)

    def zones(self) -> tuple[Zone, ...]:
        below, above = (REFUTED, SUPPORTED) if self.above else (SUPPORTED, REFUTED)
        edge = self.threshold
        return Zone(-float("inf"), edge, below), Zone(edge, float("inf"), above)


@dataclass(frozen=True)
class Listed(Rule):
    """An audit: does something hold (1 or 0) for at least `share` of what `names` lists?

    Supported from `share`, partly supported from half, else refuted; where `share` is 1, every
    entry is meant, and one exception refutes it. All of the list is counted and nothing drawn, so
    there is no interval: the finding is about the list, which was fixed before anyone counted. What
    a list is a sample of is for `Rate`.
    """

    names: tuple[str, ...]
    share: float

    def __post_init__(self) -> None:
        if not self.names or not 0.5 <= self.share <= 1:
            raise ValueError(
                f"{self.share} of a list of {len(self.names)}: "
                "a share from 0.5 to 1, of at least one entry"
            )
        # By name an entry is counted once, whatever the values of the others of its name.
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise ValueError(f"a list names each entry once, not {', '.join(twice)} again")

    @property
    def words(self) -> str:
        refuted = "refuted below half" if self.share < 1 else "refuted by one exception"
        return f"supported from {100 * self.share:g} %, {refuted}"

    def decide(self, values: Sample, unit: str, level: Level = ONE_LOOK) -> Finding:
        """(k,) in the order of the names."""
        # `strict`: a list with more names than values is a bug, and no exception to the claim.
        holds = dict(zip(self.names, stats.finite(stats.one_sample(values), 1) > 0, strict=True))
        count, n = int(sum(holds.values())), len(holds)
        verdict = PARTLY if count / n >= 0.5 and self.share < 1 else REFUTED
        if count / n >= self.share:
            verdict = SUPPORTED
        exceptions = ", ".join(name for name, yes in holds.items() if not yes)
        counted = f"{count} of {n}" + (f", not {exceptions}" if exceptions else "")
        return Finding(verdict, count / n, None, None, unit, n, f"{counted}; {self.words}")


@dataclass(frozen=True)
class Stated(Rule):
    """What a source says decides, and no measurement: `verdict`, for the reason in `text`."""

    verdict: str
    text: str

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"{self.verdict!r} is none of {', '.join(VERDICTS)}")

    @property
    def words(self) -> str:
        return "what the source that introduces it states"

    def decide(self, values: Sample, unit: str, level: Level = ONE_LOOK) -> Finding:
        """Whatever the values."""
        return Finding(self.verdict, None, None, None, "", 0, self.text)


def _errors(values: Values, dimensions: int = 1) -> Values:
    errors = stats.finite(values, dimensions)
    if (errors < 0).any():
        raise ValueError("errors are absolute: a negative one is a bug")
    return errors


def _worst(errors: Values) -> str:
    if not len(errors):
        return "no draws"
    return f"the largest error of {len(errors)} draws is {errors.max():.2g}"
