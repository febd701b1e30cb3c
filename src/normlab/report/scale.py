"""Scales of figures: values to percent of an axis, and round values for its ticks."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from normlab.records.words import power_of_ten, tick


@dataclass(frozen=True)
class Scale:
    """Values to percent of an axis; what lies beyond its ends is drawn at them. `given` ticks
    replace computed ones."""

    low: float
    high: float
    log: bool = False
    zero: bool = False  # log: values of 0 (or less) are drawn at the low end, which is labelled 0
    given: tuple[float, ...] = ()

    @classmethod
    def around(
        cls,
        values: Iterable[float],
        log: bool = False,
        given: Sequence[float] = (),
        pad: float = 0.05,
    ) -> "Scale":
        """The range of `values` and a little more."""
        # A value that is not finite has no place, and is drawn at an end.
        kept = sorted(value for value in (*values, *given) if math.isfinite(value))
        if log:
            positive = [value for value in kept if value > 0] or [1.0]
            zero = bool(kept) and kept[0] <= 0
            # At least 20 %, so that equal values lie in the middle and not at the edges.
            room = max(pad * math.log(positive[-1] / positive[0]), pad if given else 0.2)
            # 0 has no logarithm: a decade of room (ln 10 = 2.3) at the low end stands for it.
            below = 2.3 if zero else room
            return cls(
                positive[0] * math.exp(-below),
                positive[-1] * math.exp(room),
                True,
                zero,
                tuple(given),
            )
        # One value: room by its own size, and around 0 of 1.
        low, high = (kept[0], kept[-1]) if kept else (0.0, 1.0)
        room = pad * (high - low) or abs(high) * pad or 1.0
        return cls(low - room, high + room, False, False, tuple(given))

    def __call__(self, value: float) -> float:
        if self.log:
            if value <= self.low:
                return 0.0
            share = (
                math.log(value / self.low) / math.log(self.high / self.low)
                if math.isfinite(value)
                else 1.0
            )
        else:
            share = (
                (value - self.low) / (self.high - self.low)
                if math.isfinite(value)
                else float(value > 0)
            )
        return 100 * min(1.0, max(0.0, share))

    def ticks(self, count: int = 5) -> list[tuple[float, str]]:
        """(percent, label) of round values inside the range."""
        if self.given:
            return [(self(value), tick(value)) for value in self.given]
        if not self.log:
            return [
                (self(value), tick(value)) for value in _round_values(self.low, self.high, count)
            ]
        # 1e-9: a power of ten at an end is inside, whatever its logarithm is rounded to.
        first, last = (
            math.ceil(math.log10(self.low) - 1e-9),
            math.floor(math.log10(self.high) + 1e-9),
        )
        # Too narrow for powers of ten.
        if last - first < 1:
            marks = [
                (self(value), tick(value))
                for value in _round_values(self.low, self.high, count)
                if value > 0
            ]
        else:
            step = max(1, math.ceil((last - first) / count))
            powers = range(first, last + 1, step)
            # 0.001 to 10,000 are read more easily than powers.
            plain = powers[0] >= -3 and powers[-1] <= 4
            marks = [(self(10.0**p), tick(10.0**p) if plain else power_of_ten(p)) for p in powers]
        # Ticks near the end would run into its 0.
        return [(0.0, "0"), *(mark for mark in marks if mark[0] > 8)] if self.zero else marks


def _round_values(low: float, high: float, count: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten inside the range, about `count` of them."""
    from matplotlib.ticker import MaxNLocator

    places = MaxNLocator(nbins=count, steps=[1, 2, 5, 10]).tick_values(low, high)
    # matplotlib gives one place beyond each end, too.
    room = 1e-9 * (high - low)
    return [float(place) for place in places if low - room <= place <= high + room]
