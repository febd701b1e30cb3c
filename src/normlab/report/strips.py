"""Strips: one row of an HTML grid each, with a label, a small SVG on a shared scale, and the
numbers."""

from markupsafe import Markup, escape

from normlab.claims.trials import Point, summary
from normlab.records.verdict import PartVerdict, Zone
from normlab.records.words import effect, numbers
from normlab.report.effect_scale import effect_scale, origin
from normlab.report.marks import line, mark, percent, text
from normlab.report.panels import Panel
from normlab.report.scale import Scale
from normlab.report.words import CLASSES


def effect_strip(part: PartVerdict) -> Markup:
    """A part's effect with its 95 % interval, over the zones of its rule; "" without an
    interval."""
    scale = effect_scale(part)
    if scale is None or part.effect is None or part.low is None or part.high is None:
        return Markup("")
    body = []
    for zone in part.zones:
        body += _zone(zone, scale)
    none = scale(origin(part))
    if 0 < none < 100:
        body.append(line(none, "16", none, "44", "origin"))
    low, middle, high = (scale(end) for end in (part.low, part.effect, part.high))
    body.append(line(low, "28", high, "28", "whisker"))
    body += [line(x, "23", x, "33", "whisker") for x in (low, high)]
    body.append(mark(middle, "28", 3, "ink", effect(part)))
    body += [text(x, "58", label, "tick x") for x, label in scale.ticks(4)]
    label = escape(f"{part.name}: {effect(part)}, 95 % interval")
    drawn = "".join(body)
    return Markup(f'<svg class="strip tall" role="img" aria-label="{label}">{drawn}</svg>')


def _zone(zone: Zone, scale: Scale) -> list[str]:
    """A shaded range of effects, with its verdict where there is room for the word."""
    left, right = scale(zone.low), scale(zone.high)
    # Beyond an end of the scale.
    if left == right:
        return []
    kind = CLASSES[zone.verdict]
    size = f'x="{percent(left)}" y="0" width="{percent(right - left)}" height="44"'
    drawn = [f'<rect class="zone {kind}" {size}/>']
    drawn += [line(x, "0", x, "44", f"zone-edge {kind}") for x in (left, right) if 0 < x < 100]
    if right - left > 17:
        drawn.append(text((left + right) / 2, "11", zone.verdict, f"zone-name {kind}"))
    return drawn


def arm_strips(panel: Panel) -> Markup:
    """Every trial of every arm as a point, beside the arm's mean and 95 % t interval, those
    first that a rule reads."""
    values = [point.value for points in panel.arms.values() for point in points]
    # Errors of identities span decades, and may be 0; differences of either sign do not.
    log = panel.ratios or (
        min(values) >= 0 and max(values) > 0 and _wide([value for value in values if value > 0])
    )
    limits = [
        limit
        for points in panel.arms.values()
        if (s := summary(points, geometric=panel.ratios))
        for limit in (s.low, s.high)
        if limit is not None and not log
    ]
    # An interval of 2 seeds would press all marks together: no end beyond one spread counts.
    spread = max(values) - min(values)
    near = [limit for limit in limits if min(values) - spread <= limit <= max(values) + spread]
    scale = Scale.around([*values, *near], log)
    ticks = scale.ticks(4)
    # One background for all rows: a page has hundreds of them, with the same lines in each panel.
    one = "linear-gradient(var(--grid), var(--grid))"
    lines = ", ".join(f"{one} {percent(x)} 0 / 1px 100% no-repeat" for x, _ in ticks)
    read = [arm for arm in panel.arms if not panel.read or arm in panel.read]
    rows = [_row(panel, arm, scale, "s0") for arm in read]
    if len(read) < len(panel.arms):
        rows.append('<span class="beside">beside them, read by no rule:</span>')
    # In grey, `s7`: what the rules read stands out.
    rows += [_row(panel, arm, scale, "s7") for arm in panel.arms if arm not in read]
    axis = "".join(text(x, "12", label, "tick x") for x, label in ticks)
    heading = escape(panel.label)
    return Markup(
        f'<h4>{heading}{" (log scale)" if log else ""}</h4><div class="strips" style="--lines: '
        f'{lines}">{"".join(rows)}'
        '<span class="axis-cell"><svg class="strip axis" '
        f'aria-hidden="true">{axis}</svg></span></div>'
    )


def _row(panel: Panel, arm: str, scale: Scale, colour: str) -> str:
    points = panel.arms[arm]
    found = summary(points, geometric=panel.ratios)
    body: list[str] = []
    shown, spoken = "not counted", f"{arm}: {len(points)} trials"
    if found:
        if found.low is not None and found.high is not None:
            left, right = scale(found.low), scale(found.high)
            width = percent(right - left)
            body.append(
                f'<rect class="interval" x="{percent(left)}" y="7" width="{width}" height="12" '
                'rx="2"/>'
            )
            middle, low, high = numbers([found.mean, found.low, found.high])
            shown = f"{middle} <small>{low} to {high}</small>"
            spoken += f", mean {middle}, 95 % interval {low} to {high}"
        else:
            shown = numbers([found.mean])[0]
            spoken += f", {shown}"
        body.append(line(scale(found.mean), "4", scale(found.mean), "22", "mean"))
    diverged = sum(point.diverged for point in points)
    if diverged:
        shown += f' <small class="warn">{diverged} of {len(points)} did not train</small>'
        spoken += f", {diverged} did not train"
    alike: dict[
        tuple[float, bool, bool], list[Point]
    ] = {}  # an identity's trials all fall on one place
    for point in points:
        alike.setdefault((round(scale(point.value), 1), point.diverged, point.counted), []).append(
            point
        )
    for place, ((x, diverged_, counted), same) in enumerate(alike.items()):
        seeds = ", ".join(str(point.seed) for point in same)  # the row names the arm
        ends = sorted({point.value for point in same})
        title = (
            f"seed{'s' * (len(same) > 1)} {seeds}: "
            f"{' to '.join(numbers([*ends[:1], *ends[1:][-1:]]))}"
        )
        title += ", did not train" * diverged_ + ", not counted" * (not counted)
        # In three lines, since places that differ by little would hide each other.
        body.append(mark(x, str(13 + ((place % 3) - 1) * 4), 0, "", title, diverged_, not counted))
    return (
        f'<span class="arm">{escape(arm)}</span><span class="value">{shown}</span>'
        f'<svg class="strip {colour}" role="img" '
        f'aria-label="{escape(spoken)}">{"".join(body)}</svg>'
    )


def _wide(positive: list[float]) -> bool:
    """Over more than two powers of ten: an axis of logarithms, then."""
    return bool(positive) and max(positive) > 100 * min(positive)
