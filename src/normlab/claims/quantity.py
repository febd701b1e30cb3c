"""What a rule decides about: numbers by seed, read from the evidence, with their words and unit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from normlab.claims.evidence import Evidence
from normlab.claims.metrics import metric as metric_of
from normlab.claims.stats import Sample, Values

LARGEST_ERROR = "largest error"
# These say which number it is, and read before it: largest error 2e-7. All others follow theirs.
UNITS_FIRST = frozenset({LARGEST_ERROR, "largest difference"})


@dataclass(frozen=True)
class Quantity:
    """`read(evidence)` gives numbers in `unit`: (n,), (n, k) where the rule asks for that, or a
    tuple of independent samples whose means add up.

    arms: those that are read; empty means all of the claim, whose every arm then needs the seeds.

    `words` say what they are, for a reader of the rule: `accuracy at 64 - accuracy at 8`.
    `beside` makes a remark of the same evidence, printed after the finding; it decides nothing.
    """

    words: str
    unit: str
    read: Callable[[Evidence], Sample]
    arms: tuple[str, ...] = ()
    beside: Callable[[Evidence], str] | None = None

    @property
    def unit_first(self) -> bool:
        """Whether the unit reads before its number."""
        return self.unit in UNITS_FIRST


def difference(
    arm: str,
    baseline: str,
    metric: str = "test_accuracy",
    *,
    words: str = "",
    scale: float | None = None,
    unit: str = "",
) -> Quantity:
    """arm - baseline, independent samples, in the metric's own unit: points, nats.

    Here and in what follows a sample is of the trials that train: see `Evidence.sample`.
    """
    known = metric_of(metric)
    factor = known.scale if scale is None else scale
    said = words or f"{known.words}: {arm} - {baseline}"
    return Quantity(
        said,
        unit or known.difference,
        lambda evidence: (
            factor * evidence.sample(arm, metric),
            -factor * evidence.sample(baseline, metric),
        ),
        (arm, baseline),
    )


def trains(arm: str, *, words: str = "") -> Quantity:
    """(n,): 1 for a seed that trains at some rate of its grid, else 0: for `Rate`."""

    def read(evidence: Evidence) -> Values:
        return evidence.trained(arm).astype(float)

    return Quantity(words or f"share of seeds of {arm} that train", "of the seeds", read, (arm,))


def metric_difference(
    arm: str,
    metric: str,
    baseline: str,
    *,
    words: str = "",
    scale: float | None = None,
    unit: str = "",
) -> Quantity:
    """metric - baseline of the same trials of `arm`, in the metric's own unit: points, nats."""
    # One scale for both: `metric` and `baseline` are numbers of one kind.
    known = metric_of(metric)
    factor = known.scale if scale is None else scale
    return Quantity(
        words or f"{arm}: {known.words} - {metric_of(baseline).words}",
        unit or known.difference,
        lambda evidence: factor * (evidence.sample(arm, metric) - evidence.sample(arm, baseline)),
        (arm,),
    )


def interaction(
    a: tuple[str, str], b: tuple[str, str], metric: str = "test_accuracy", *, words: str = ""
) -> Quantity:
    """(a[0] - a[1]) - (b[0] - b[1]), independent samples: is a difference larger in a than in b?"""
    known = metric_of(metric)

    def read(evidence: Evidence) -> Sample:
        a1, a0, b1, b0 = (known.scale * evidence.sample(arm, metric) for arm in (*a, *b))
        return a1, -a0, -b1, b0

    text = words or f"{known.words}: ({a[0]} - {a[1]}) - ({b[0]} - {b[1]})"
    return Quantity(text, known.difference, read, (*a, *b))


def perplexity_ratio(
    arm: str, baseline: str, metric: str = "test_loss", *, words: str = ""
) -> Quantity:
    """Logarithm of the perplexity of `arm` over that of `baseline`: a difference of losses."""
    # log(exp(a) / exp(b)) = a - b, and rules about ratios ask for the logarithm.
    said = words or f"perplexity of {arm} over {baseline}"
    return Quantity(
        said,
        "times",
        lambda evidence: (evidence.sample(arm, metric), -evidence.sample(baseline, metric)),
        (arm, baseline),
    )


def largest(
    arms: Sequence[str],
    metric: str | Sequence[str],
    *,
    words: str = "",
    unit: str = LARGEST_ERROR,
) -> Quantity:
    """(n,): the largest of one or several metrics over `arms`, draw by draw."""
    metrics = (metric,) if isinstance(metric, str) else tuple(metric)
    names = ", ".join(metric_of(name).words for name in metrics)

    def read(evidence: Evidence) -> Values:
        # (n, arms) for each metric -> (n, arms x metrics) -> (n,)
        tables = [evidence.table(arms, name) for name in metrics]
        worst: Values = np.concatenate(tables, axis=1).max(axis=1)
        return worst

    return Quantity(words or f"{names}, the largest of {', '.join(arms)}", unit, read, tuple(arms))


def every(
    arms: Sequence[str], metrics: Sequence[str], *, words: str = "", unit: str = LARGEST_ERROR
) -> Quantity:
    """(n x arms x metrics,): each draw of each metric of each arm by itself."""
    said = words or f"{', '.join(metric_of(name).words for name in metrics)} of {', '.join(arms)}"

    def read(evidence: Evidence) -> Values:
        # (n, arms) -> (n x arms,) for each metric
        columns = [evidence.table(arms, name).ravel() for name in metrics]
        return np.concatenate(columns)

    return Quantity(said, unit, read, tuple(arms))


def reached(
    arms: Sequence[str], metric: str, at_least: float = 1.0, *, words: str, unit: str
) -> Quantity:
    """(arms,): 1 for each arm whose one trial has the metric at `at_least` or above, else 0.

    Of what does not depend on a draw: networks that are counted, one trial each.
    """

    def read(evidence: Evidence) -> Values:
        values = [evidence.values(arm, metric)[0] for arm in arms]
        return np.array([value >= at_least for value in values], dtype=float)

    return Quantity(words, unit, read, tuple(arms))


def value(
    arm: str,
    metric: str = "test_accuracy",
    *,
    words: str = "",
    scale: float | None = None,
    unit: str = "",
) -> Quantity:
    """(n,) of a metric of one arm, in its own unit."""
    known = metric_of(metric)
    factor = known.scale if scale is None else scale
    said = words or f"{known.words} of {arm}"
    return Quantity(
        said, unit or known.unit, lambda evidence: factor * evidence.sample(arm, metric), (arm,)
    )
