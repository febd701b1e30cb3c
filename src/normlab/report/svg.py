"""Figures by hand: SVG whose x positions are percentages, so that it fills any width while text and marks keep theirs.

Colours are classes of the style sheet (light and dark); a series differs from another in its marks and dashes, too.
Coordinates have two decimals: the same numbers give the same bytes.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from normlab.records.words import power_of_ten, tick

MARKS = (  # of a series, about the origin
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z",
    "M-3.6-3.6h7.2v7.2h-7.2Z",
    "M0-4.6 4.4 3.4h-8.8Z",
    "M0-5 4.4 0 0 5-4.4 0Z",
    "M0 4.6 4.4-3.4h-8.8Z",
    "M-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3Z",
)
CROSS = "M-4.5-4.5 4.5 4.5M-4.5 4.5 4.5-4.5"
# Stands once in a page, before all that `mark` draws.
SYMBOLS = "".join(f'<path id="mark-{index}" d="{shape}"/>' for index, shape in enumerate(MARKS)) + (
    f'<path id="cross" d="{CROSS}"/>'
)
SLOT = 9.5  # percent of the width, for the trials of a band
SERIES = 8  # colours in the style sheet


@dataclass(frozen=True)
class Scale:
    """Values to percent of an axis; what lies beyond its ends is drawn at them. `given` ticks replace computed ones."""

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
        kept = sorted(value for value in (*values, *given) if math.isfinite(value))
        if log:
            positive = [value for value in kept if value > 0] or [1.0]
            zero = bool(kept) and kept[0] <= 0
            room = max(pad * math.log(positive[-1] / positive[0]), pad if given else 0.2)
            below = 2.3 if zero else room
            return cls(
                positive[0] * math.exp(-below),
                positive[-1] * math.exp(room),
                True,
                zero,
                tuple(given),
            )
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
        first, last = (
            math.ceil(math.log10(self.low) - 1e-9),
            math.floor(math.log10(self.high) + 1e-9),
        )
        if last - first < 1:
            marks = [
                (self(value), tick(value))
                for value in _round_values(self.low, self.high, count)
                if value > 0
            ]
        else:
            step = max(1, math.ceil((last - first) / count))
            powers = range(first, last + 1, step)
            plain = powers[0] >= -3 and powers[-1] <= 4
            marks = [(self(10.0**p), tick(10.0**p) if plain else power_of_ten(p)) for p in powers]
        return [(0.0, "0"), *(mark for mark in marks if mark[0] > 8)] if self.zero else marks


def _round_values(low: float, high: float, count: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, about `count` of them."""
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [
        index * step
        for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]


def percent(value: float) -> str:
    return f"{value:.2f}%"


def mark(
    x: float,
    y: str,
    shape: int,
    colour: str,
    title: str,
    diverged: bool = False,
    faint: bool = False,
    dx: float = 0,
) -> str:
    """One trial: the mark of its series, crossed out if it diverged, hollow if it does not count."""
    # A reference each, not a drawing: a page holds thousands.
    where = f'x="{percent(x)}" y="{y}"' + (f' transform="translate({dx:.1f})"' if dx else "")
    name = f"<title>{escape(title)}</title>"
    hollow = " hollow" if faint else ""
    drawn = (
        f'<use href="#mark-{shape % len(MARKS)}" class="mark {colour}{hollow}" {where}>{name}</use>'
    )
    return drawn + (f'<use href="#cross" class="cross" {where}>{name}</use>' if diverged else "")


def line(x1: float, y1: str, x2: float, y2: str, kind: str) -> str:
    return f'<line class="{kind}" x1="{percent(x1)}" y1="{y1}" x2="{percent(x2)}" y2="{y2}"/>'


def text(x: float, y: str, content: str, kind: str, more: str = "") -> str:
    return f'<text class="{kind}" x="{percent(x)}" y="{y}"{more}>{escape(content)}</text>'


@dataclass(frozen=True)
class Dot:
    """A trial in a plot."""

    x: float
    y: float
    title: str
    diverged: bool = False
    counted: bool = True


@dataclass
class Series:
    """A line through means `(x, mean, low, high)` with its trials; in a `band` a single mean, for all x."""

    name: str
    means: list[tuple[float, float, float | None, float | None]]
    dots: list[Dot] = field(default_factory=list)
    traces: list[list[tuple[float, float]]] = field(
        default_factory=list
    )  # a thin line for each trial
    index: int = 0  # its colour, mark and dashes
    short: str = ""

    @property
    def colour(self) -> str:
        return f"s{self.index % SERIES}"


@dataclass
class Plot:
    """Lines over x; bands reach across all x, and have their trials in columns of their own on the right."""

    title: str
    description: str
    x_label: str
    y_label: str
    x: Scale
    y: Scale
    series: list[Series]
    bands: list[Series] = field(default_factory=list)
    rules: list[tuple[float, str]] = field(default_factory=list)  # horizontal reference lines
    area: tuple[float, float] | None = None  # from one y to another, shaded over all x

    def svg(self) -> Markup:
        """The whole figure body: legend, axis name, plot."""
        main = 100.0 - (SLOT * len(self.bands) + 1 if self.bands else 0)
        parts = [
            *([self._area(*self.area)] if self.area else []),
            *(line(0, percent(100 - y), 100, percent(100 - y), "grid") for y, _ in self.y.ticks()),
            *(
                text(0, percent(100 - y), label, "tick y", ' dx="-8" dy=".32em"')
                for y, label in self.y.ticks()
            ),
            *(
                text(x * main / 100, "100%", label, "tick x", ' dy="1.5em"')
                for x, label in self.x.ticks(4)
            ),
            *(self._rule(value, label, main) for value, label in self.rules),
            *(self._shape(band, main) for band in self.bands),
            *(self._shape(series, main) for series in self.series),
        ]
        if self.bands:
            parts.append(line(main, "0", main, "100%", "edge"))
        for slot, band in enumerate(self.bands):
            x = main + 1 + SLOT * (slot + 0.5)
            parts.append(
                text(
                    x, "100%", band.short or band.name, f"tick x name {band.colour}", ' dy="1.5em"'
                )
            )
            for place, dot in enumerate(band.dots):
                parts.append(self._dot(dot, x, band, ((place % 3) - 1) * 5.0))
        middle = (len(self.series) - 1) / 2
        for place, series in enumerate(self.series):
            for dot in series.dots:
                parts.append(
                    self._dot(dot, self.x(dot.x) * main / 100, series, (place - middle) * 5.0)
                )
        parts += [self._name(series, main) for series in self.series if len(self.series) > 1]
        body, title = "".join(parts), escape(self.title)
        return Markup(
            f'{self._legend()}<p class="axis-name">{escape(self.y_label)}</p><div class="frame">'
            f'<svg class="plot" role="img" aria-label="{title}"><title>{title}</title>'
            f"<desc>{escape(self.description)}</desc>{body}</svg></div>"
            f'<p class="axis-name x">{escape(self.x_label)}</p>'
        )

    def _legend(self) -> str:
        entries = "".join(
            f'<li class="{series.colour}"><svg class="key" aria-hidden="true">'
            f'<line class="mean d{series.index % 4}" x1="0" y1="8" x2="34" y2="8"/>'
            f'<svg x="17" y="8" class="over"><path class="mark" d="{MARKS[series.index % len(MARKS)]}"/></svg>'
            f"</svg>{escape(series.name)}</li>"
            for series in (*self.series, *self.bands)
        )
        return f'<ul class="legend">{entries}</ul>'

    def _name(self, series: Series, main: float) -> str:
        """The name of a series where it is farthest from all others; "" where that is not far. Hidden on a phone."""
        others = [one for one in (*self.series, *self.bands) if one is not series]
        best, place = 0.0, ""
        for x, mean, _, _ in series.means[: -(len(series.means) // 3) or None]:
            at_x = [
                value
                for one in others
                for where, value, _, _ in one.means
                if where == x or one in self.bands
            ]
            gaps = [self.y(value) - self.y(mean) for value in at_x]
            gap = min(gaps, key=abs, default=0.0)
            if abs(gap) > max(best, 9.0):
                best, below = abs(gap), gap > 0
                more = f' dx="16" dy="{1.1 if below else -0.7}em"'
                place = text(
                    self.x(x) * main / 100, percent(100 - self.y(mean)), series.name, "label", more
                )
        return f'<g class="{series.colour}">{place}</g>' if place else ""

    def _area(self, low: float, high: float) -> str:
        top, height = percent(100 - self.y(high)), percent(self.y(high) - self.y(low))
        return f'<rect class="zone yes" x="0" y="{top}" width="100%" height="{height}"/>'

    def _rule(self, value: float, label: str, main: float) -> str:
        y = percent(100 - self.y(value))
        return line(0, y, 100, y, "rule") + text(main, y, label, "note", ' dx="-8" dy="-.45em"')

    def _dot(self, dot: Dot, x: float, series: Series, dx: float) -> str:
        y = percent(100 - self.y(dot.y))
        return mark(x, y, series.index, series.colour, dot.title, dot.diverged, not dot.counted, dx)

    def _shape(self, series: Series, main: float) -> str:
        """Interval and mean line, in a nested SVG that is stretched to the plot."""

        def at(points: Iterable[tuple[float, float]]) -> str:
            return " ".join(
                f"{self.x(x) * main / 100:.2f},{100 - self.y(y):.2f}" for x, y in points
            )

        known = [
            (x, low, high)
            for x, _, low, high in series.means
            if low is not None and high is not None
        ]
        if series in self.bands:
            _, mean, low, high = series.means[0]
            y = 100 - self.y(mean)
            ends = (low, high) if low is not None and high is not None else (mean, mean)
            top, bottom = (100 - self.y(end) for end in reversed(ends))
            inner = f'<rect class="interval" x="0" y="{top:.2f}" width="100" height="{bottom - top:.2f}"/>'
            inner += f'<path class="mean d{series.index % 4}" d="M0 {y:.2f}H100"/>'
        else:
            outline = [(x, high) for x, _, high in known] + [
                (x, low) for x, low, _ in reversed(known)
            ]
            inner = f'<polygon class="interval" points="{at(outline)}"/>' if len(known) > 1 else ""
            inner += "".join(
                f'<polyline class="trace" points="{at(trace)}"/>' for trace in series.traces
            )
            means = at((x, mean) for x, mean, _, _ in series.means)
            inner += f'<polyline class="mean d{series.index % 4}" points="{means}"/>'
        return (
            f'<svg class="{series.colour}" viewBox="0 0 100 100" width="100%" height="100%" '
            f'preserveAspectRatio="none" aria-hidden="true">{inner}</svg>'
        )
