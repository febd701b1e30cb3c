"""One metric of the trials against another: where each arm lies, and whether both go together."""

import math

from markupsafe import Markup

from normlab.claims.claim import Claim
from normlab.claims.figure import Against
from normlab.claims.trials import Trials, summary
from normlab.records.words import number
from normlab.report.plot import Dot, Plot, Series
from normlab.report.scale import Scale


def against(claim: Claim, figure: Against, trials: Trials) -> Markup:
    """A cloud of trials for each arm, and its mean with the 95 % interval of the second metric."""
    series = [_series(figure, trials, arm) for arm in figure.arms or trials.records]
    series = [one for one in series if one.dots]
    if not series:
        return Markup("")
    for index, one in enumerate(series):
        one.index = index
    xs, ys = ([getattr(dot, name) for one in series for dot in one.dots] for name in "xy")
    means = [f"{one.name}: {number(x)}, {number(y)}" for one in series for x, y, *_ in one.means]
    return Plot(
        title=claim.statement,
        description=f"{figure.x_label}, {figure.y_label}: {'; '.join(means)}",
        x_label=figure.x_label + (" (log scale)" if figure.log_x else ""),
        y_label=figure.y_label,
        x=Scale.around(xs, figure.log_x),
        y=Scale.around(ys),
        series=series,
    ).svg()


def _series(figure: Against, trials: Trials, arm: str) -> Series:
    xs, ys = (
        {point.seed: point for point in trials.points(arm, name)} for name in (figure.x, figure.y)
    )
    one = Series(arm, [])
    shared = [seed for seed in xs if seed in ys and ys[seed].counted]
    for seed in shared:
        x, y = _shown(figure, xs[seed].value), ys[seed].value
        title = f"{arm}, seed {seed}: {number(x)}, {number(y)}"
        one.dots.append(Dot(x, y, title, ys[seed].diverged))
    kept = summary([ys[seed] for seed in shared])
    if kept is not None:
        # Of logarithms, too, so that the mean is the geometric one.
        x = sum(xs[seed].value for seed in shared) / len(shared)
        one.means.append((_shown(figure, x), kept.mean, kept.low, kept.high))
    return one


def _shown(figure: Against, x: float) -> float:
    return math.exp(x) if figure.log_x else x
