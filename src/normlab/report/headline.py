"""The picture of README.md: accuracy against the normalization batch, from records of one claim.

matplotlib draws it twice, for a light and a dark page. The same records and the same matplotlib
give the same bytes: ids have a fixed salt, no date is written, and text stays text.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from normlab.claims.claim import Claim
from normlab.claims.trials import Summary, Trials, collect, summary
from normlab.errors import NormLabError
from normlab.records.store import Store
from normlab.records.verdict import Verdict
from normlab.records.words import listed, number, tick
from normlab.report.svg_style import fixed_style
from normlab.report.words import norm_name

HEADLINE = "bn-batch-below-16"  # its figure stands above all others on the page, too
SIZE = (7.6, 3.8)  # inches of 72 points


@dataclass(frozen=True)
class Theme:
    """Colours of one page: of text and axes, of the grid, and of each kind of norm."""

    ink: str
    grid: str
    norms: Mapping[str, str]


# BatchNorm once more, evaluated with statistics that were estimated anew after the training.
CORRECTED = "batchnorm, corrected"
# In the order of drawing.
KINDS = ("batchnorm", CORRECTED, "batchrenorm", "groupnorm", "layernorm", "instancenorm", "frn")
_LIGHT = ("#0a58ca", "#5b9bd5", "#b35900", "#1a7f37", "#8250df", "#bf3989", "#57606a")
_DARK = ("#6cb6ff", "#a5c8f0", "#f0a050", "#57c46b", "#c297ff", "#f778ba", "#9aa4ae")
LABEL = 0.055  # of the height of the axes: what a line of text needs
THEMES = {
    "light": Theme("#1f2328", "#d1d9e0", dict(zip(KINDS, _LIGHT, strict=True))),
    "dark": Theme("#e6edf3", "#3d444d", dict(zip(KINDS, _DARK, strict=True))),
}


@dataclass(frozen=True)
class Curve:
    """Of one norm: the accuracy in per cent by normalization batch.

    A norm that depends on no batch has one value, at 0.
    """

    kind: str
    at: Mapping[int, Summary]

    @property
    def name(self) -> str:
        return "with new statistics" if self.kind == CORRECTED else norm_name(self.kind).name

    @property
    def flat(self) -> bool:
        return 0 in self.at


@dataclass(frozen=True)
class Headline:
    """The picture, `theme -> SVG`, what it is called, and what it shows in a sentence."""

    pictures: Mapping[str, str]
    title: str
    caption: str


def headline_of(
    claims: Sequence[Claim], verdicts: Sequence[Verdict], store: Store
) -> Headline | None:
    """Of the trials that decided the claim `HEADLINE`; None where none are recorded.

    None, too, where no norm over a batch is recorded, so that there is no axis to draw.
    `verdicts`: of each claim, in the same order.

    Raises:
        NormLabError: a norm without a colour; matplotlib is not installed.
    """
    index = [claim.slug for claim in claims].index(HEADLINE)
    trials = collect(claims[index], verdicts[index], store)
    curves = _curves(claims[index], trials)
    if all(curve.flat for curve in curves):
        return None
    title = "Test accuracy against the number of samples that share their statistics"
    pictures = {name: _draw(curves, theme) for name, theme in THEMES.items()}
    return Headline(pictures, title, _caption(curves, trials.trivial_loss()))


def _curves(claim: Claim, trials: Trials) -> list[Curve]:
    by_kind: dict[str, dict[int, Summary]] = {}
    for arm in claim.arms:
        of_arm = summary(trials.points(arm.name, "test_accuracy"))
        if of_arm is not None:
            # 0: the arm does not depend on the batch.
            batch = int(arm.at.get("normalization_batch", 0))
            kind = str(arm.at["norm"])
            by_kind.setdefault(kind, {})[batch] = of_arm
            corrected = summary(trials.points(arm.name, "precise_test_accuracy"))
            if kind == KINDS[0] and corrected is not None:
                by_kind.setdefault(CORRECTED, {})[batch] = corrected
    for kind in by_kind:
        if kind not in KINDS:
            raise NormLabError(f"the picture of README.md has no colour for {kind}: give it one.")
    return [Curve(kind, dict(sorted(by_kind[kind].items()))) for kind in KINDS if kind in by_kind]


def _caption(curves: Sequence[Curve], trivial_loss: float | None) -> str:
    """In numbers, what each norm reaches at the ends of its curve, and what guessing gives."""
    # exp(-trivial loss) is the share of a class, of classes that are as frequent as one another.
    guess = ""
    if trivial_loss is not None:
        guess = f" (guessing: {tick(round(100 * math.exp(-trivial_loss), 1))} %)"
    sizes = {size for curve in curves for size in curve.at if size}
    first, last = min(sizes), max(sizes)
    # Of the norms that depend on the batch, the first that was run at the smallest.
    batch_norm = next(curve for curve in curves if first in curve.at)
    shown = [f"{batch_norm.name} reaches {number(batch_norm.at[first].mean)} %"]
    shown += [f"{curve.name} {number(curve.at[0].mean)} %" for curve in curves if curve.flat]
    samples = "sample" if first == 1 else "samples"
    counts = sorted({point.n for curve in curves for point in curve.at.values()})
    seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return (
        f"With {first} {samples} to a statistic, {listed(shown)}{guess}; with {last}, "
        f"{batch_norm.name} reaches {number(batch_norm.at[last].mean)} %. "
        f"Means of {seeds} seeds with their 95 % interval, from `{HEADLINE}`."
    )


def _draw(curves: Sequence[Curve], theme: Theme) -> str:
    with fixed_style(HEADLINE, "the picture of README.md"):
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        figure = Figure(SIZE)
        axes = figure.add_axes((0.08, 0.15, 0.76, 0.8))
        _axes(axes, theme, sorted({size for curve in curves for size in curve.at if size}))
        for curve in curves:
            _curve(axes, curve, theme.norms[curve.kind])
        _names(axes, curves, theme)
        text = io.StringIO()
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(text, metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _axes(axes: Any, theme: Theme, sizes: Sequence[int]) -> None:
    # Sizes are powers of two.
    axes.set_xscale("log", base=2)
    axes.set_xlim(sizes[0] / 1.15, sizes[-1] * 1.15)
    axes.set_xticks(sizes, map(str, sizes))
    axes.minorticks_off()
    axes.set_xlabel("samples that share their statistics", color=theme.ink)
    axes.set_ylabel("test accuracy, %", color=theme.ink)
    axes.tick_params(colors=theme.ink, length=0)
    axes.grid(axis="y", color=theme.grid, linewidth=0.8)
    axes.patch.set_visible(False)
    axes.figure.patch.set_visible(False)  # the page behind it shows
    axes.spines[:].set_visible(False)


def _curve(axes: Any, curve: Curve, colour: str) -> None:
    """The means, and their intervals as a band."""
    points = [curve.at[0]] * 2 if curve.flat else list(curve.at.values())
    # From edge to edge: it holds for every size.
    xs = list(axes.get_xlim()) if curve.flat else list(curve.at)
    means = [point.mean for point in points]
    # Dashes and dots tell them apart without colour, too.
    dashes, marker = ((0, (5, 2)), "") if curve.flat else ("-", "o")
    axes.plot(xs, means, color=colour, linestyle=dashes, marker=marker, markersize=4)
    low = [point.mean if point.low is None else point.low for point in points]
    high = [point.mean if point.high is None else point.high for point in points]
    axes.fill_between(xs, low, high, color=colour, alpha=0.15, linewidth=0)


def _names(axes: Any, curves: Sequence[Curve], theme: Theme) -> None:
    """The name of each curve at its right end, moved where two would lie on each other."""
    low, high = axes.get_ylim()
    ends = {curve.name: list(curve.at.values())[-1].mean for curve in curves}
    places = spread(list(ends.values()), LABEL * (high - low))
    for curve, y in zip(curves, places, strict=True):
        axes.annotate(curve.name, (axes.get_xlim()[1], y), xytext=(6, 0),
                      textcoords="offset points", va="center",
                      color=theme.norms[curve.kind])  # fmt: skip


def spread(values: Sequence[float], gap: float) -> list[float]:
    """Places in the order of `values`, each as near to its own as it can be, `gap` apart."""
    order = sorted(range(len(values)), key=values.__getitem__)
    # Groups of neighbours that touch: their members, and the place of the lowest of them.
    groups: list[tuple[list[int], float]] = []
    for index in order:
        members, start = [index], values[index]
        while groups and groups[-1][1] + gap * len(groups[-1][0]) > start:
            members = groups.pop()[0] + members
            middle = sum(values[one] for one in members) / len(members)
            start = middle - gap * (len(members) - 1) / 2
        groups.append((members, start))
    places = [0.0] * len(values)
    for members, start in groups:
        for position, index in enumerate(members):
            places[index] = start + gap * position
    return places
