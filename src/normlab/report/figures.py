"""The figures of the report, by name. A claim names its figure in `Claim.figure`, optionally followed by a metric:

- `arms` (the default): no more than the strips that every card has, each trial of each arm as a point beside its
  arm's mean and 95 % interval.
- `normalization_batch`: accuracy against the normalization batch, from arms named `batchnorm 8` and `batchrenorm 8`;
  batchnorm once more with statistics re-estimated after training, where the arms record them; arms without a number
  (groupnorm, layernorm, frn) are bands.
- `sweep [metric] [over WORDS] [without NAMES]`: a metric over the last number in the arms' names. What is left of the
  name is the series: arms `batchnorm gain 0.3` and `none gain 0.3` make two. Arms without a number are bands. x is
  logarithmic where the numbers are positive and span a factor of 8. The metric is the first that a rule reads, if none
  is given; WORDS name the x axis, else the last word that all series share (`gain`). Arms whose names begin with one of
  NAMES, which commas separate, are left out: those of another task, whose losses are on another scale.
- `heat_map [loss] [over WORDS]`: a table of mean losses, see normlab.report.heat.
- `cells over WORDS [; of NAME] [; as WORDS] [; band LOW HIGH WORDS]`: ratios of times, see normlab.report.cell_figure.
- `curve [name]`: `train_loss` (the default), `val_loss` or `val_accuracy` over the steps, from the records' curves:
  thin lines are trials, the thick one is their mean.

Each function takes the claim's name, its trials and what follows the figure's name; it returns HTML, or "" where the
records hold nothing to draw.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from markupsafe import Markup, escape

from normlab.claims.claim import Claim
from normlab.claims.trials import Point, Trials, is_share, summary
from normlab.errors import choices
from normlab.records.words import listed, number, numbers, tick
from normlab.report.cell_figure import cells
from normlab.report.heat import heat_map
from normlab.report.panels import panels
from normlab.report.svg import Dot, Plot, Scale, Series
from normlab.report.words import SHORT, metric_label

Figure = Callable[[Claim, Trials, str | None], Markup]


def draw(claim: Claim, trials: Trials) -> Markup:
    """The claim's own figure, "" if it has none beyond the strips.

    Raises:
        NormLabError: there is no figure of that name.
    """
    name, _, detail = (claim.figure or "arms").partition(" ")
    if name not in FIGURES:
        raise choices(f"figure of {claim.slug}", name, FIGURES)
    return FIGURES[name](claim, trials, detail or None) if trials.records else Markup("")


def arms(claim: Claim, trials: Trials, detail: str | None) -> Markup:
    return Markup("")


def normalization_batch(claim: Claim, trials: Trials, detail: str | None) -> Markup:
    lines, bands = _by_number(_points(trials, "test_accuracy"))
    names = {"batchnorm": "BatchNorm", "batchrenorm": "BatchRenorm"}
    series = [replace(lines[key], name=name) for key, name in names.items() if key in lines]
    if "batchnorm" not in lines:
        return Markup("")
    corrected, _ = _by_number(_points(trials, "precise_test_accuracy"))
    if "batchnorm" in corrected:
        series.insert(
            1, replace(corrected["batchnorm"], name="BatchNorm with re-estimated statistics")
        )
    titles = {"groupnorm": "GroupNorm", "layernorm": "LayerNorm", "frn": "FRN"}
    kept = [
        replace(band, name=titles.get(name, name), short=SHORT.get(name, name))
        for name, band in bands.items()
    ]
    return _plot(
        claim,
        trials,
        "test_accuracy",
        [replace(one, index=index) for index, one in enumerate(series)],
        [replace(one, index=index + len(series)) for index, one in enumerate(kept)],
        "normalization batch: samples that share their statistics",
        _sentence(series, bands),
    )


def _sentence(series: list[Series], bands: Mapping[str, Series]) -> str:
    """What the headline figure shows, in numbers."""
    smallest = min(series[0].means)
    at_one = [
        (name, mean)
        for name, mean in ((one.name, _at(one, smallest[0])) for one in series)
        if mean is not None
    ]
    said = [f"{name} {number(mean)} %" for name, mean in at_one]
    said[0] = said[0].replace(series[0].name, f"{series[0].name} reaches", 1)
    others = [
        f"{SHORT.get(name, name)} {number(band.means[0][1])} %" for name, band in bands.items()
    ]
    sample = "sample" if smallest[0] == 1 else "samples"
    text = f"With {tick(smallest[0])} {sample} to a statistic, {listed(said)}"
    text += f"; {listed(others)} at any." if others else "."
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _at(series: Series, x: float) -> float | None:
    return next((mean for where, mean, _, _ in series.means if where == x), None)


def sweep(claim: Claim, trials: Trials, detail: str | None) -> Markup:
    shown, _, without = (detail or "").partition("without ")
    given, _, over = shown.strip().partition("over ")
    left_out = tuple(name.strip() for name in without.split(",") if name.strip())
    read = panels(claim, trials)[:1] if not given.strip() else []
    metric = given.strip() or (read[0].name if read else "test_accuracy")
    points = read[0].arms if read else _points(trials, metric)
    lines, bands = _by_number(
        {arm: values for arm, values in points.items() if not arm.startswith(left_out)}
    )
    if not lines:
        return Markup("")
    series = [replace(one, index=index) for index, one in enumerate(lines.values())]
    flat = [
        replace(one, index=index + len(series), short=SHORT.get(one.name, one.name))
        for index, one in enumerate(bands.values())
    ]
    return _plot(claim, trials, metric, series, flat, over or _shared_word(list(lines)), "")


def _shared_word(names: list[str]) -> str:
    """The word before the number that all series have: `gain` of `batchnorm gain` and `none gain`."""
    last = {name.split()[-1] if name else "" for name in names}
    return last.pop() if len(last) == 1 else "number in the arm's name"


def _points(trials: Trials, metric: str) -> dict[str, list[Point]]:
    return {arm: trials.points(arm, metric) for arm in trials.records}


def _by_number(arms: Mapping[str, list[Point]]) -> tuple[dict[str, Series], dict[str, Series]]:
    """Series by the arms' names without their number, and the arms that have none."""
    lines: dict[str, Series] = {}
    bands: dict[str, Series] = {}
    for arm, points in arms.items():
        found = summary(points)
        if not found:
            continue
        numbered = list(re.finditer(r"(?<!\S)-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.])", arm))
        name, x = arm, 0.0
        if numbered:
            start, end = numbered[-1].span()
            name, x = (arm[:start].rstrip() + arm[end:]).rstrip(" ,"), float(numbered[-1][0])
        dots = [
            Dot(
                x,
                p.value,
                f"{arm}, seed {p.seed}: {number(p.value)}{', diverged' * p.diverged}",
                p.diverged,
                p.counted,
            )
            for p in points
        ]
        one = (lines if numbered else bands).setdefault(name, Series(name, []))
        one.means.append((x, found.mean, found.low, found.high))
        one.means.sort(key=lambda mean: mean[0])
        one.dots += dots
    return lines, bands


def _plot(
    claim: Claim,
    trials: Trials,
    metric: str,
    series: list[Series],
    bands: list[Series],
    x_label: str,
    sentence: str,
) -> Markup:
    xs = sorted({x for one in series for x, *_ in one.means})
    ys = [dot.y for one in (*series, *bands) for dot in one.dots]
    log_x = xs[0] > 0 and xs[-1] >= 8 * xs[0]
    log_y = min(ys) > 0 and max(ys) > 100 * min(ys)
    rules = []
    chance = _chance(trials) if is_share(metric) else None
    if chance and min(ys) < 2 * chance:
        rules.append((chance, f"chance, {tick(round(chance, 1))} %"))
    description = sentence or "; ".join(
        f"{one.name}: " + ", ".join(f"{number(mean)} at {tick(x)}" for x, mean, *_ in one.means)
        for one in series
    )
    scale = Scale.around(ys + [value for value, _ in rules], log_y)
    label = metric_label(metric) + (" (log scale)" if log_y else "")
    plot = Plot(
        claim.statement,
        description,
        x_label,
        label,
        Scale.around(xs, log_x, xs),
        scale,
        series,
        bands,
        rules,
    )
    return Markup(f'<p class="shows">{escape(sentence)}</p>' if sentence else "") + plot.svg()


def _chance(trials: Trials) -> float | None:
    """Accuracy, in per cent, of guessing among classes that are as frequent as one another."""
    losses = [record.metrics.get("trivial_loss") for record in trials.all()]
    return 100 * math.exp(-losses[0]) if losses and isinstance(losses[0], float) else None


def curve(claim: Claim, trials: Trials, detail: str | None) -> Markup:
    name = detail or "train_loss"
    series: list[Series] = []
    for arm, by_seed in trials.records.items():
        traces = [
            _trace(record.curve, name) for seed, record in by_seed.items() if seed in trials.seeds
        ]
        traces = [trace for trace in traces if trace]
        if traces:
            shared = set.intersection(*({x for x, _ in trace} for trace in traces))
            at = [dict(trace) for trace in traces]
            means = [(x, sum(one[x] for one in at) / len(at), None, None) for x in sorted(shared)]
            series.append(Series(arm, means, traces=traces, index=len(series)))  # type: ignore[arg-type]
    if not series:
        return Markup("")
    values = [y for one in series for trace in one.traces for _, y in trace]
    cap = _chance_loss(trials) if name.endswith("loss") else None
    ys = [
        min(value, 1.5 * cap) if cap else value for value in values
    ]  # an explosion does not flatten the rest
    rules = [(cap, "trivial loss")] if cap and max(ys) > 0.8 * cap else []
    ends = ", ".join(
        f"{one.name} ends at {numbers([one.means[-1][1]])[0]}" for one in series if one.means
    )
    xs = [x for one in series for trace in one.traces for x, _ in trace]
    scale = Scale.around(ys + [value for value, _ in rules])
    x_scale = Scale.around([0.0, *xs], pad=0.0)
    return Plot(
        claim.statement,
        ends,
        "optimizer steps",
        metric_label(name),
        x_scale,
        scale,
        series,
        [],
        rules,
    ).svg()


def _trace(recorded: Mapping[str, list], name: str) -> list[tuple[float, float]]:
    """(step, value) where a value was finite, accuracy in per cent."""
    steps = recorded.get("val_step" if name.startswith("val_") else "step", [])
    scale = 100 if is_share(name) else 1
    return [
        (x, scale * y) for x, y in zip(steps, recorded.get(name, []), strict=False) if y is not None
    ]


def _chance_loss(trials: Trials) -> float | None:
    losses = [record.metrics.get("trivial_loss") for record in trials.all()]
    return losses[0] if losses and isinstance(losses[0], float) else None


FIGURES: dict[str, Figure] = {
    "arms": arms,
    "normalization_batch": normalization_batch,
    "sweep": sweep,
    "curve": curve,
    "heat_map": heat_map,
    "cells": cells,
}
