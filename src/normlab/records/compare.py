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
        if name not in _NOT_COMPARED and values[0] != values[1]:
            return _in_words(f"metrics.{name}", *values)
    for name in sorted(one.curve.keys() | other.curve.keys()):
        lists = one.curve.get(name), other.curve.get(name)
        if lists[0] != lists[1]:
            return _in_words(f"curve.{name}", *lists)
    return ""


def _kept(record: Record) -> Record:
    return Record(**json.loads(record.to_json()))


# A curve has hundreds of values: 60 characters tell which one it is.
def _in_words(name: str, before: object, now: object) -> str:
    return f"{name}: {str(before)[:60]}, now {str(now)[:60]}"
