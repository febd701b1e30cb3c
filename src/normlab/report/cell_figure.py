"""Ratios of times over the size of the input, from the records of timed trials."""

import math
import re
from collections import defaultdict

import numpy as np
from markupsafe import Markup

from normlab.claims.claim import Claim
from normlab.claims.stats import t_interval
from normlab.claims.trials import Trials
from normlab.measure.timing.trials import LOG
from normlab.records.record import Record
from normlab.records.words import number, tick
from normlab.report.svg import Dot, Plot, Scale, Series


def cells(claim: Claim, trials: Trials, detail: str | None) -> Markup:
    """`cells over WORDS [; of NAME] [; as WORDS] [; band LOW HIGH WORDS]`: a line for each arm.

    x is the last number of a cell's size (width of a row, side of a map), which WORDS name; a mark is one reading's
    median over the cells of that size. `of` draws only arms `NAME, ...`, `as` names the y axis, `band` shades the
    ratios that the claim speaks of. Void cells are left out.
    """
    asked = dict(word.strip().partition(" ")[::2] for word in (detail or "").split(";"))
    series: list[Series] = []
    for arm, by_seed in trials.records.items():
        if "of" in asked and not arm.startswith(f"{asked['of']}, "):
            continue
        name = arm.removeprefix(f"{asked.get('of')}, ")
        one = _series(
            name,
            {seed: record for seed, record in by_seed.items() if seed in trials.seeds},
            len(series),
        )
        if one.means:
            series.append(one)
    if not series:
        return Markup("")
    low, high, words = 1.0, 1.0, ""
    if "band" in asked:
        ends, words = asked["band"].split(" ", 2)[:2], asked["band"].split(" ", 2)[2]
        low, high = (float(end) for end in ends)
    xs = sorted({x for one in series for x, *_ in one.means})
    y = Scale.around([low, high, *(dot.y for one in series for dot in one.dots)], log=True)
    said = "; ".join(
        f"{one.name}: " + ", ".join(f"{number(m)} at {tick(x)}" for x, m, *_ in one.means)
        for one in series
    )
    return Plot(
        claim.statement,
        said,
        asked.get("over", "size of the input"),
        f"{asked.get('as', 'ratio of times')} (log scale)",
        Scale.around(xs, len(xs) > 1 and xs[-1] >= 8 * xs[0], xs),
        y,
        series,
        rules=[(high, words)] if words else [(1.0, "as fast")],
        area=(low, high) if words else None,
    ).svg()


def _series(name: str, by_seed: dict[int, Record], index: int) -> Series:
    one = Series(name, [], index=index)
    by_x: dict[float, list[float]] = defaultdict(list)
    for seed, record in sorted(by_seed.items()):
        logs: dict[float, list[float]] = defaultdict(list)
        for metric, value in record.metrics.items():
            if metric.startswith(LOG) and value is not None and math.isfinite(value):
                logs[size(metric.removeprefix(LOG))].append(value)
        for x, values in sorted(logs.items()):
            middle = float(np.median(values))
            by_x[x].append(middle)
            title = f"{name}, {tick(x)}, reading {seed}: {number(math.exp(middle))}"
            one.dots.append(Dot(x, math.exp(middle), title))
    for x, middles in sorted(by_x.items()):
        found = [float(value) for value in np.exp(t_interval(np.array(middles)))]
        one.means.append((x, found[0], *(found[1:] if len(middles) > 1 else (None, None))))
    return one


def size(cell: str) -> float:
    """The last number of `64x1024 float32 forward` or of `batch 8, context 64, width 128` that is a size."""
    first = cell.split()[0]
    return float(first.split("x")[-1] if first[0].isdigit() else re.findall(r"\d+", cell)[-1])
