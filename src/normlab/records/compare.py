"""Two records of one trial, bit for bit."""

import json

from normlab.records.record import Record

_NOT_COMPARED = frozenset({"samples_per_s"})  # a speed


def difference(before: Record, now: Record) -> str:
    """What differs in status, metrics or curve, in words; "" if no bit does.

    Both are compared as they are kept: what is not finite is null.
    """
    one, other = _kept(before), _kept(now)
    if one.status != other.status:
        return f"status {one.status}, now {other.status} {other.message}".strip()
    for name in sorted(one.metrics.keys() | other.metrics.keys()):
        values = one.metrics.get(name), other.metrics.get(name)
        if name not in _NOT_COMPARED and _bits(values[0]) != _bits(values[1]):
            return _in_words(f"metrics.{name}", *values)
    for name in sorted(one.curve.keys() | other.curve.keys()):
        lists = one.curve.get(name), other.curve.get(name)
        if _bits(lists[0]) != _bits(lists[1]):
            return _in_words(f"curve.{name}", *lists)
    return ""


def _bits(value: object) -> object:
    """Equal only where all bits are: 0.0 == -0.0, whose texts differ. 1 and 1.0 are one number."""
    if isinstance(value, list):
        return [_bits(item) for item in value]
    return repr(float(value)) if isinstance(value, int | float) else value


def _kept(record: Record) -> Record:
    return Record(**json.loads(record.to_json()))


# A curve has hundreds of values: 60 characters tell which one it is.
def _in_words(name: str, before: object, now: object) -> str:
    return f"{name}: {str(before)[:60]}, now {str(now)[:60]}"
