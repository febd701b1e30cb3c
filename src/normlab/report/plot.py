"""A plot of lines over x with every trial as a mark, in SVG that fills any width."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from normlab.report.marks import MARKS, SERIES, SLOT, line, mark, percent, text
from normlab.report.scale import Scale


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
    """A line through means `(x, mean, low, high)` with its trials; in a `band` a single mean,
    for all x."""

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
    """Lines over x; bands reach across all x, and have their trials in columns of their own on
    the right."""

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
        # Bands have no x of their own: their trials get a column each, to the right of the axis.
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
                # Three columns of pixels, since marks of near values would hide each other.
                parts.append(self._dot(dot, x, band, ((place % 3) - 1) * 5.0))
        # Series at the same x side by side, 5 pixels apart.
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
            '<svg x="17" y="8" class="over"><path class="mark" '
            f'd="{MARKS[series.index % len(MARKS)]}"/></svg>'
            f"</svg>{escape(series.name)}</li>"
            for series in (*self.series, *self.bands)
        )
        return f'<ul class="legend">{entries}</ul>'

    def _name(self, series: Series, main: float) -> str:
        """The name of a series where it is farthest from all others; "" where that is not far.
        Hidden on a phone."""
        others = [one for one in (*self.series, *self.bands) if one is not series]
        best, place = 0.0, ""
        # Not in the last third, where a name would run over the edge.
        for x, mean, _, _ in series.means[: -(len(series.means) // 3) or None]:
            at_x = [
                value
                for one in others
                for where, value, _, _ in one.means
                if where == x or one in self.bands
            ]
            gaps = [self.y(value) - self.y(mean) for value in at_x]
            # The nearest of all others decides, and on its far side there is room.
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
            # y of SVG grows downwards.
            top, bottom = (100 - self.y(end) for end in reversed(ends))
            inner = (
                f'<rect class="interval" x="0" y="{top:.2f}" width="100" '
                f'height="{bottom - top:.2f}"/>'
            )
            inner += f'<path class="mean d{series.index % 4}" d="M0 {y:.2f}H100"/>'
        else:
            # Along the upper ends and back along the lower ones.
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
