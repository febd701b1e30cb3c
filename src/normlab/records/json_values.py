"""What JSON can hold, as types."""

import math
from collections.abc import Iterator, Mapping
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]


def finite(value: object) -> object:
    """`value` in strict JSON: NaN and infinities become null, tuples lists."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def leaves(value: object, place: str = "") -> Iterator[tuple[str, object]]:
    """Everything in `value` that holds nothing else, names included, each with its place:
    `metrics.loss`; an item of a list has the place of the list."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield place, str(name)
            yield from leaves(item, f"{place}.{name}".strip("."))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item, place)
    else:
        yield place, value
