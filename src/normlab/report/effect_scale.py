"""The scale of a part's effect: its interval and the edges of its rule are always in sight."""

import math

from normlab.records.verdict import PartVerdict
from normlab.report.scale import Scale


def effect_scale(part: PartVerdict, pad: float = 0.16) -> Scale | None:
    """From the interval, the edges and "no effect"; None for a part without an interval."""
    if part.effect is None or part.low is None or part.high is None:
        return None
    ends = (part.effect, part.low, part.high, origin(part))
    # The rule's edges stay in sight, however far the effect is from them.
    return Scale.around([*ends, *_edges(part)], part.log, pad=pad)


def origin(part: PartVerdict) -> float:
    """No effect: a difference of 0, a ratio of 1."""
    return 1.0 if part.log else 0.0


def _edges(part: PartVerdict) -> list[float]:
    """The ends of zones that can be drawn."""
    ends = [end for zone in part.zones for end in (zone.low, zone.high)]
    return [end for end in ends if math.isfinite(end) and (end > 0 or not part.log)]
