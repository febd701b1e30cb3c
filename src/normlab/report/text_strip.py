"""A part's effect in one line of characters, for a terminal: zones, interval and estimate."""

from normlab.records.verdict import PartVerdict
from normlab.records.words import number
from normlab.report.effect_scale import effect_scale
from normlab.report.scale import Scale

BAR, DOT, EDGE, CROSSED, FILL = "━", "●", "│", "┿", "·"


def text_strip(part: PartVerdict, width: int = 72) -> str:
    """`−1.2 ·· refuted ···│┣━━●━━┫ supported ·· 3.4`: "" for a part without an interval.

    `┣` to `┫` is the interval, `●` the estimate, `│` an edge of the rule, `┿` one inside the
    interval; the numbers are the ends of the scale. A zone without room for its verdict has none.
    """
    scale = effect_scale(part)
    if scale is None or part.effect is None or part.low is None or part.high is None:
        return ""
    left, right = number(scale.low, 2), number(scale.high, 2)
    room = width - len(left) - len(right) - 2
    drawn = _zones(part, scale, room)
    low, middle, high = (_place(scale, end, room) for end in (part.low, part.effect, part.high))
    for place in range(low, high + 1):
        drawn[place] = CROSSED if drawn[place] == EDGE else BAR
    drawn[low], drawn[high], drawn[middle] = "┣", "┫", DOT
    return f"{left} {''.join(drawn)} {right}"


def _zones(part: PartVerdict, scale: Scale, room: int) -> list[str]:
    """The background: each zone's verdict where the interval leaves room for it, and its edges."""
    drawn = [FILL] * room
    taken = {_place(scale, end, room) for end in (part.low, part.high) if end is not None}
    for zone in part.zones:
        first, last = _place(scale, zone.low, room), _place(scale, zone.high, room)
        # What lies beyond the scale begins or ends with it, and has no edge.
        inner = [place for place in (first, last) if 0 < place < room - 1]
        start, stop = _longest(first + (first in inner), last, min(taken), max(taken))
        word = f" {zone.verdict} "
        if stop - start >= len(word):
            begin = (start + stop - len(word) + 1) // 2
            drawn[begin : begin + len(word)] = word
        for place in inner:
            drawn[place] = EDGE
    return drawn


def _longest(first: int, last: int, low: int, high: int) -> tuple[int, int]:
    """The longer of the two stretches of `first` to `last` that `low` to `high` leaves free."""
    before, after = (first, min(last, low)), (max(first, high + 1), last)
    return max(before, after, key=lambda stretch: stretch[1] - stretch[0])


def _place(scale: Scale, value: float, room: int) -> int:
    return round(scale(value) / 100 * (room - 1))
