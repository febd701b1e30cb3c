"""Numbers, effects and devices in words. Deterministic: fixed formats, no locale."""

import math
from collections.abc import Sequence

from normlab.records.device import read_device
from normlab.records.verdict import PartVerdict

MINUS = "\N{MINUS SIGN}"
TO_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def numbers(values: Sequence[float], digits: int = 3) -> list[str]:
    """`values` side by side, all with the decimals that give the largest `digits` digits."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    # The largest value alone decides, so that a column of numbers lines up.
    exponent = math.floor(math.log10(largest)) if largest else 0
    if not -4 <= exponent < 6:
        return [_scientific(value) for value in values]
    decimals = max(0, digits - 1 - exponent)
    return [
        _signed(f"{value:,.{decimals}f}") if math.isfinite(value) else _infinite(value)
        for value in values
    ]


def number(value: float, digits: int = 3) -> str:
    """One value, with `digits` significant digits."""
    return numbers([value], digits)[0] if value else "0"


def tick(value: float) -> str:
    """A round value on an axis."""
    if value and not 1e-4 <= abs(value) < 1e6:
        return _scientific(value, 0)
    return _signed(f"{value:,.6f}".rstrip("0").rstrip("."))


def _signed(text: str) -> str:
    # -0.001 with two decimals is 0.00: a zero has no sign.
    zero = not text.strip("-0.,")
    return text.lstrip("-") if zero else text.replace("-", MINUS)


def _infinite(value: float) -> str:
    return "not a number" if math.isnan(value) else _signed("∞" if value > 0 else "-∞")


def _scientific(value: float, decimals: int = 1) -> str:
    if not value or not math.isfinite(value):
        return "0" if not value else _infinite(value)
    digits, power = f"{value:.{decimals}e}".split("e")
    # 10³, and not 1 × 10³: a tick, which asks for no decimals.
    times = "" if digits == "1" else f"{_signed(digits)}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}"
    return times + power_of_ten(int(power))


def power_of_ten(power: int) -> str:
    return f"10{str(power).translate(TO_SUPERSCRIPT)}"


def effect(part: PartVerdict) -> str:
    """`3.21 (1.10 to 5.32) points`, `largest error 2e-7`, or "" where no number was found."""
    if part.effect is None:
        return ""
    if part.low is None or part.high is None:
        shown = number(part.effect)
        return f"{part.unit} {shown}" if part.unit_first else f"{shown} {part.unit}"
    middle, low, high = numbers([part.effect, part.low, part.high])
    return f"{middle} ({low} to {high}) {part.unit}"


def device_label(device: str | None) -> str:
    """`cpu (x86_64, 1 thread)` as x86_64, 1 thread; a GPU's name as it is."""
    return read_device(device or "").label


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""
