"""The verdict of a claim from those of its parts."""

from collections.abc import Sequence

from normlab.claims import stats
from normlab.claims.rules.rule import ALPHA, Finding
from normlab.records.verdict import INCONCLUSIVE, PARTLY, SUPPORTED


def combine(findings: Sequence[Finding]) -> str:
    """Supported or refuted if all parts are; partly supported if that is more than chance.

    Partly supported asks for at least one part that is (partly) supported. With three or more parts
    of no effect, one is called supported in over 5 % of cases, so the positive parts' p-values must
    reject "no part has anything" at 5 % (Simes, 1986). With two parts decided by 95 % intervals one
    positive part is always enough. All else is inconclusive.
    """
    if not findings:
        raise ValueError("a claim has at least one part")
    verdicts = {finding.verdict for finding in findings}
    if len(verdicts) == 1:
        return findings[0].verdict
    positive = [finding for finding in findings if finding.verdict in (SUPPORTED, PARTLY)]
    # None: the finding is exact, and no chance has made it.
    p_values = [finding.p or 0.0 for finding in positive]
    return PARTLY if stats.simes(p_values, len(findings)) <= ALPHA else INCONCLUSIVE
