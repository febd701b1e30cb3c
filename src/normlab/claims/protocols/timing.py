"""Protocols and quantities of timed claims: log ratios of times over a grid of cells. Torch-free.

A clause is about cells of one kind: a direction, a dtype, a memory format. Of these each reading
has the mean logarithm. Void cells never count; a cell counts from three valid readings on; where
fewer than half of the cells count, nothing is decided.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from normlab.claims.claim import Protocol
from normlab.claims.evidence import Evidence, PartMissing, Values
from normlab.claims.looks import Looks
from normlab.claims.quantity import Quantity
from normlab.claims.rules import MIN_SEEDS
from normlab.measure.timing.trials import GAIN, LOG

READINGS = Looks((10,))
SHOWN = {LOG: "ratio of times", GAIN: "ratio by the norms alone"}  # on a card, by prefix


def timing_protocols(
    smoke: Mapping[str, Any],
    quick: Mapping[str, Any],
    gpu: Mapping[str, Any] | None,
    seconds: float,
    *,
    gpu_seconds: float = 20.0,
    timeout_s: float = 1800.0,
) -> dict[str, Protocol]:
    """Ten readings of every cell, each of options; quick has the first five of full."""
    timed: dict[str, Any] = {"seconds_per_trial": seconds, "timeout_s": timeout_s}
    protocols = {
        "smoke": Protocol(options=dict(smoke), looks=Looks((1,))),
        "quick": Protocol(options=dict(quick), looks=Looks((5,)), **timed),
        "full": Protocol(options=dict(quick), looks=READINGS, **timed),
    }
    if gpu is not None:
        timed["seconds_per_trial"] = gpu_seconds
        protocols["gpu"] = Protocol(options=dict(gpu), looks=READINGS, **timed)
    return protocols


def ratio_of(
    arm: str,
    *kind: str,
    any_of: Sequence[str] = (),
    sides: Sequence[int] = (),
    prefix: str = LOG,
    words: str = "",
) -> Quantity:
    """(n,): each reading's mean log ratio over the cells of `arm` whose names have all words of
    `kind`, "float32", "forward", "channels_last", and one of `any_of`, where there are some; of
    maps, those of so many pixels a side.

    Beside it the range of the cells, so that a mean over unlike ones is seen for what it is.
    """

    def wanted(name: str) -> bool:
        words = name.replace(",", " ").split()
        of_a_side = any(word.endswith(f"x{side}x{side}") for word in words for side in sides)
        return _is(name, kind, any_of) and (not sides or of_a_side)

    said = " ".join([*kind, *(f"{side}x{side}" for side in sides)]) or "any kind"

    def read(evidence: Evidence) -> Values:
        values = _cells(evidence, arm, prefix, wanted, said).mean(axis=1)
        evidence.show(arm, SHOWN[prefix], np.exp(values))
        return np.asarray(values)

    def beside(evidence: Evidence) -> str:
        cells = np.exp(_cells(evidence, arm, prefix, wanted, said).mean(axis=0))
        return f"{len(cells)} cells from {cells.min():.3g} to {cells.max():.3g}"

    where = f" ({', '.join(kind)})" if kind else ""
    text = f"{words or SHOWN[prefix]}, mean over the cells of `{arm}`{where}"
    return Quantity(text, "times", read, (arm,), beside)


def _cells(
    evidence: Evidence, arm: str, prefix: str, wanted: Callable[[str], bool], kind: str
) -> Values:
    """Log ratios (n, k) of the cells that count.

    Raises:
        PartMissing: fewer than half of the cells have three valid readings, or there is none.
    """
    records = evidence.trials(arm)
    # Of all readings: a cell that one of them lacks is void there, and the grid is the same.
    every = {name for record in records for name in record.metrics}
    named = [name for name in every if name.startswith(prefix)]
    names = sorted(filter(wanted, named))
    if not names:
        raise PartMissing(f"{arm}: no cell of {kind} was measured")
    return counted(evidence, arm, names)


def counted(evidence: Evidence, arm: str, names: Sequence[str], *, log: bool = True) -> Values:
    """The metrics `names` (n, k) of timed trials without the cells that do not count; a void
    reading is the mean of its cell's others, so that all readings are of the same cells.

    log: they are logarithms already; else it is taken of them.

    Raises:
        PartMissing: fewer than half of the cells have three valid readings.
    """
    records = evidence.trials(arm)
    logs = np.array([[_value(record.metrics.get(name)) for name in names] for record in records])
    logs = logs if log else np.log(logs)
    # Of fewer readings than three, as in smoke runs, all must be valid.
    kept: Values = logs[:, np.isfinite(logs).sum(axis=0) >= min(MIN_SEEDS, len(records))]
    if kept.shape[1] < max(1, len(names) / 2):
        void = f"{len(names) - kept.shape[1]} of {len(names)} cells are void"
        raise PartMissing(f"{arm}: {void}: run on a calm machine")
    return np.where(np.isfinite(kept), kept, np.nanmean(kept, axis=0))


def _is(name: str, kind: Sequence[str], any_of: Sequence[str]) -> bool:
    """Whether a cell's name has each word of `kind`: `forward` is none of `forward_backward`."""
    words = name.replace(",", " ").split()
    return all(word in words for word in kind) and (
        not any_of or any(word in words for word in any_of)
    )


def _value(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
