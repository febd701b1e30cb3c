"""Quantities over several arms: weighted sums of metrics, the arms as independent samples, and
floors below which a comparison says nothing."""

from collections.abc import Mapping
from dataclasses import replace

from normlab.claims.evidence import Evidence, PartMissing, Values
from normlab.claims.metrics import metric as metric_of
from normlab.claims.quantity import Quantity
from normlab.claims.stats import Sample

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


def where_one_reaches(quantity: Quantity, metric: str, least: float, missing: str) -> Quantity:
    """`quantity`, where the mean of `metric` over the seeds is `least` or more in one of its arms.

    Arms that have all learnt nothing are alike, and tell nothing of what they are compared for: to
    read them raises PartMissing, which says `missing`. So the part is inconclusive.
    """

    def read(evidence: Evidence) -> Sample:
        means = [float(evidence.sample(arm, metric).mean()) for arm in quantity.arms]
        if max(means) < least:
            raise PartMissing(missing)
        return quantity.read(evidence)

    return replace(quantity, read=read)
