"""Floors below which a comparison says nothing."""

from dataclasses import replace

from normlab.claims.evidence import Evidence, PartMissing
from normlab.claims.quantity import Quantity
from normlab.claims.stats import Sample


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
