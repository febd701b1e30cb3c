"""Quantities over several arms: weighted sums of metrics, the arms as independent samples."""

from collections.abc import Mapping

from normlab.claims.evidence import Evidence, Values
from normlab.claims.metrics import metric as metric_of
from normlab.claims.quantity import Quantity

Weights = Mapping[str, float]  # of metrics


def contrast(
    arms: Mapping[str, Weights], words: str, *, scale: float | None = None, unit: str = ""
) -> Quantity:
    """The sum over arms and metrics of weight times value, in the unit of the metrics' differences.

    All metrics of one arm are of the same networks and make one sample; arms are independent. So a
    share of a fall can be asked for without a ratio of two noisy numbers: gain - share * fall > 0.
    """
    first = next(iter(next(iter(arms.values()))))
    known = metric_of(first)
    factor = known.scale if scale is None else scale

    def sample(evidence: Evidence, arm: str, weights: Weights) -> Values:
        terms = [weight * evidence.sample(arm, name) for name, weight in weights.items()]
        total: Values = factor * sum(terms[1:], terms[0])
        return total

    def read(evidence: Evidence) -> tuple[Values, ...]:
        return tuple(sample(evidence, arm, weights) for arm, weights in arms.items())

    return Quantity(words, unit or known.difference, read, tuple(arms))


def weighted(metric: str, weights: Weights) -> Mapping[str, Weights]:
    """For `contrast`: one metric of several arms, by weight."""
    return {arm: {metric: weight} for arm, weight in weights.items()}
