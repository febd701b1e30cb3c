"""The ratio of two arms over the course of their trials."""

import math

import numpy as np
from markupsafe import Markup

from normlab.claims.claim import Claim
from normlab.claims.figure import Course
from normlab.claims.stats import Values, t_interval
from normlab.claims.trials import Trials
from normlab.report.plot import Plot, Series
from normlab.report.scale import Scale
from normlab.report.sweep import spoken


def course(claim: Claim, figure: Course, trials: Trials) -> Markup:
    """A line for each metric of the figure, with the 95 % interval of each of its ratios."""
    series = [
        _series(figure, trials, words, metric, index)
        for index, (words, metric) in enumerate(figure.lines.items())
    ]
    series = [one for one in series if one.means]
    if not series:
        return Markup("")
    xs = sorted({x for one in series for x, *_ in one.means})
    ys = [value for one in series for mean in one.means for value in mean[1:] if value is not None]
    return Plot(
        title=claim.statement,
        description="; ".join(spoken(one) for one in series),
        x_label=figure.x_label,
        y_label=f"{figure.y_label} (log scale)",
        x=Scale.around(xs),
        y=Scale.around([1.0, *ys], log=True),
        series=series,
        rules=[(1.0, figure.even)],
    ).svg()


def _series(figure: Course, trials: Trials, words: str, metric: str, index: int) -> Series:
    one = Series(words, [], index=index)
    for x in figure.xs:
        name = f"{metric} at {x:g}"
        base, arm = (_logs(trials, arm, name) for arm in (figure.baseline, figure.arm))
        if not len(base) or not len(arm):
            continue
        ratio = math.exp(base.mean() - arm.mean())
        ends: tuple[float | None, float | None] = (None, None)
        # One seed of either has an interval without ends.
        if min(len(base), len(arm)) > 1:
            _, low, high = np.exp(t_interval((base, -arm)))
            ends = float(low), float(high)
        one.means.append((x, ratio, *ends))
    return one


def _logs(trials: Trials, arm: str, metric: str) -> Values:
    """(n,) of the trials that a rule may read."""
    return np.array([point.value for point in trials.points(arm, metric) if point.counted])
