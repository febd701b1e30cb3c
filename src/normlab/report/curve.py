"""Losses or accuracies over the steps of training, from the records' curves."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from normlab.claims.claim import Claim
from normlab.claims.figure import Curve
from normlab.claims.metrics import metric as metric_of
from normlab.claims.trials import Trials
from normlab.records.words import numbers
from normlab.report.plot import Plot, Series
from normlab.report.scale import Scale

Trace = list[tuple[float, float]]  # (step, value)


def curve(claim: Claim, figure: Curve, trials: Trials) -> Markup:
    """Thin lines are trials, the thick one is their mean over the steps that all of them have."""
    series: list[Series] = []
    for arm, by_seed in trials.records.items():
        counted = [record for seed, record in by_seed.items() if trials.counts(arm, seed)]
        traces = [_trace(record.curve, figure.name) for record in counted]
        traces = [trace for trace in traces if trace]
        if traces:
            series.append(Series(arm, _mean(traces), traces=traces, index=len(series)))
    if not series:
        return Markup("")
    points = [point for one in series for trace in one.traces for point in trace]
    xs, values = [x for x, _ in points], [y for _, y in points]
    # An accuracy has no such bound.
    cap = trials.trivial_loss() if figure.name.endswith("loss") else None
    ys = [min(value, 1.5 * cap) if cap else value for value in values]  # an explosion fits
    # Far below it the line would only press the curves together.
    rules = [(cap, "trivial loss")] if cap and max(ys) > 0.8 * cap else []
    ends = [f"{one.name} ends at {numbers([one.means[-1][1]])[0]}" for one in series if one.means]
    return Plot(
        title=claim.statement,
        description=", ".join(ends),
        x_label="optimizer steps",
        y_label=claim.metric(figure.name).label,
        x=Scale.around([0.0, *xs], pad=0.0),
        y=Scale.around([*ys, *(value for value, _ in rules)]),
        series=series,
        rules=rules,
    ).svg()


def _mean(traces: Sequence[Trace]) -> list[tuple[float, float, float | None, float | None]]:
    at = [dict(trace) for trace in traces]
    # A trial that ended early has fewer steps, and the mean ends with it.
    shared = set.intersection(*(set(one) for one in at))
    means: list[tuple[float, float, float | None, float | None]] = []
    for x in sorted(shared):
        means.append((x, sum(one[x] for one in at) / len(at), None, None))
    return means


def _trace(recorded: Mapping[str, list[float | None]], name: str) -> Trace:
    """(step, value) where a value was finite, accuracy in per cent."""
    steps = recorded.get("val_step" if name.startswith("val_") else "step", [])
    scale = metric_of(name).scale
    pairs = zip(steps, recorded.get(name, []), strict=False)
    return [(x, scale * y) for x, y in pairs if x is not None and y is not None]
