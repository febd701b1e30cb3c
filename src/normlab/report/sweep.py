"""A metric over one coordinate of the arms: lines through means, bands of arms without it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from markupsafe import Markup

from normlab.claims.claim import Arm, Claim
from normlab.claims.figure import NormalizationBatch, Sweep
from normlab.claims.metrics import Metric
from normlab.claims.trials import Point, Trials, summary
from normlab.records.words import listed, number, tick
from normlab.report.panels import panels
from normlab.report.plot import Dot, Plot, Series
from normlab.report.scale import Scale
from normlab.report.words import norm_name

Points = Mapping[str, list[Point]]  # arm -> its trials


def normalization_batch(claim: Claim, figure: NormalizationBatch, trials: Trials) -> Markup:
    """Accuracy against the normalization batch, with the trained networks' statistics corrected."""
    x, by = "normalization_batch", ("norm",)
    lines = _lines(claim.arms, _points(trials, "test_accuracy"), x, by)
    # In the figure's order, of which the first line is the one that the claim is about.
    kept = [
        replace(lines[name], name=norm_name(name).name) for name in figure.lines if name in lines
    ]
    main = figure.lines[0]
    if main not in lines:
        return Markup("")
    corrected = _lines(claim.arms, _points(trials, "precise_test_accuracy"), x, by)
    if main in corrected:
        title = f"{norm_name(main).name} with re-estimated statistics"
        # Beside the line that it corrects: of the same networks with other statistics.
        kept.insert(1, replace(corrected[main], name=title))
    bands = _bands(figure.bands, _points(trials, "test_accuracy"))
    label = "normalization batch: samples that share their statistics"
    sentence = _sentence(kept, bands)
    return _plot(claim, trials, "test_accuracy", kept, bands, label, sentence)


def sweep(claim: Claim, figure: Sweep, trials: Trials) -> Markup:
    """The figure's metric, or the first that a rule reads, over its coordinate."""
    # Its metric may be a measure that no record holds, so that points come from the panel.
    read = panels(claim, trials)[:1] if figure.metric is None else []
    metric = figure.metric or (read[0].name if read else "test_accuracy")
    points = read[0].arms if read else _points(trials, claim.metric(metric))
    lines = list(_lines(claim.arms, points, figure.x, figure.by).values())
    if not lines:
        return Markup("")
    bands = _bands(figure.bands, points)
    return _plot(claim, trials, metric, lines, bands, figure.x_label, "")


def _points(trials: Trials, metric: str | Metric) -> dict[str, list[Point]]:
    return {arm: trials.points(arm, metric) for arm in trials.records}


def _lines(arms: Sequence[Arm], points: Points, x: str, by: tuple[str, ...]) -> dict[str, Series]:
    """A series for each combination of the coordinates `by`, over the coordinate `x`."""
    lines: dict[str, Series] = {}
    for arm in arms:
        place, kept = arm.at.get(x), summary(points.get(arm.name, []))
        # Arms without the coordinate are bands, or in no line of this figure.
        if kept is None or not isinstance(place, int | float):
            continue
        name = ", ".join(str(arm.at[key]) for key in by if key in arm.at)
        one = lines.setdefault(name, Series(name, []))
        one.means.append((float(place), kept.mean, kept.low, kept.high))
        one.means.sort(key=lambda mean: mean[0])
        one.dots += _dots(arm.name, float(place), points[arm.name])
    return lines


def _bands(arms: Sequence[str], points: Points) -> list[Series]:
    """Arms that reach over all x."""
    bands = []
    for arm in arms:
        kept = summary(points.get(arm, []))
        if kept is not None:
            means = [(0.0, kept.mean, kept.low, kept.high)]
            dots = _dots(arm, 0.0, points[arm])
            name, short = norm_name(arm)
            bands.append(Series(name, means, dots, short=short))
    return bands


def _dots(arm: str, x: float, points: Sequence[Point]) -> list[Dot]:
    dots = []
    for point in points:
        title = f"{arm}, seed {point.seed}: {number(point.value)}"
        title += ", did not train" * point.diverged
        dots.append(Dot(x, point.value, title, point.diverged, point.counted))
    return dots


def _sentence(series: Sequence[Series], bands: Sequence[Series]) -> str:
    """What the headline figure shows, in numbers."""
    smallest = min(series[0].means)
    at_smallest = []
    for one in series:
        mean = _mean_at(one, smallest[0])
        if mean is not None:
            verb = " reaches" if one is series[0] else ""
            at_smallest.append(f"{one.name}{verb} {number(mean)} %")
    others = [f"{band.short} {number(band.means[0][1])} %" for band in bands]
    sample = "sample" if smallest[0] == 1 else "samples"
    text = f"With {tick(smallest[0])} {sample} to a statistic, {listed(at_smallest)}"
    text += f"; {listed(others)} at any." if others else "."
    # A number and its unit stay on one line.
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _mean_at(series: Series, x: float) -> float | None:
    return next((mean for place, mean, _, _ in series.means if place == x), None)


def _plot(
    claim: Claim,
    trials: Trials,
    metric: str,
    lines: Sequence[Series],
    bands: Sequence[Series],
    x_label: str,
    sentence: str,
) -> Markup:
    # Lines first: bands go on with the colours behind them.
    every = [replace(one, index=index) for index, one in enumerate((*lines, *bands))]
    series, flat = every[: len(lines)], every[len(lines) :]
    xs = sorted({x for one in series for x, *_ in one.means})
    ys = [dot.y for one in every for dot in one.dots]
    # Sizes and rates are spaced by factors.
    log_x = xs[0] > 0 and xs[-1] >= 8 * xs[0]
    log_y = min(ys) > 0 and max(ys) > 100 * min(ys)
    # exp(-trivial loss) is a share of classes, and no bound for anything but accuracy.
    chance = _chance(trials) if metric.endswith("accuracy") else None
    rules = []
    # Far above it the line would only press the others together.
    if chance and min(ys) < 2 * chance:
        rules.append((chance, f"chance, {tick(round(chance, 1))} %"))
    plot = Plot(
        title=claim.statement,
        description=sentence or "; ".join(spoken(one) for one in series),
        x_label=x_label,
        y_label=claim.metric(metric).label + (" (log scale)" if log_y else ""),
        x=Scale.around(xs, log_x, xs),
        y=Scale.around([*ys, *(value for value, _ in rules)], log_y),
        series=series,
        bands=flat,
        rules=rules,
    )
    heading = Markup('<p class="shows">{}</p>').format(sentence) if sentence else Markup("")
    return heading + plot.svg()


def spoken(series: Series) -> str:
    """A line's means in words, for who cannot see it."""
    means = [f"{number(mean)} at {tick(x)}" for x, mean, *_ in series.means]
    return f"{series.name}: {', '.join(means)}"


def _chance(trials: Trials) -> float | None:
    """Accuracy, in per cent, of guessing among classes that are as frequent as one another."""
    loss = trials.trivial_loss()
    return None if loss is None else 100 * math.exp(-loss)
