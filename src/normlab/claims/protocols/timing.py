"""Quantities of timed claims: log ratios of times over a grid of cells. Torch-free.

Void cells never count. A cell counts from three valid readings on; a grid of which fewer than half
of the cells count decides nothing.
"""

import math

import numpy as np

from normlab.claims.evidence import Evidence, Missing, Values
from normlab.claims.quantity import Quantity
from normlab.claims.rules import MIN_SEEDS
from normlab.claims.rules.cells import typical
from normlab.measure.timing.trials import GAIN, LOG
from normlab.records.record import Record

SHOWN = {LOG: "ratio of times", GAIN: "ratio by the norms alone"}  # on a card, by prefix


def cell_ratios(arm: str, *, words: str = "") -> Quantity:
    """(n, k) of the k cells of `arm`: for `MostCells`."""

    def read(evidence: Evidence) -> Values:
        return _show(evidence, arm, LOG, _cells(evidence, arm, LOG))

    return Quantity(f"{words or SHOWN[LOG]}, in each cell of `{arm}`", "times", read)


def typical_ratio(arm: str, prefix: str = LOG, suffix: str = "", *, words: str = "") -> Quantity:
    """(n,): each reading's median over the cells of `arm`, the same cells in all: for `Between`.

    Of cells whose names begin with `prefix`, which says what was divided by what, and end with
    `suffix`.
    """

    def read(evidence: Evidence) -> Values:
        return typical(_show(evidence, arm, prefix, _cells(evidence, arm, prefix, suffix)))

    return Quantity(f"{words or SHOWN[prefix]}, median over the cells of `{arm}`", "times", read)


def _cells(evidence: Evidence, arm: str, prefix: str, suffix: str = "") -> Values:
    """Log ratios (n, k) of the cells that count, NaN where a reading was void.

    Raises:
        Missing: no seeds, or fewer than half of the cells have three valid readings.
    """
    records = evidence.trials(arm)
    # Of all readings: a cell that one of them lacks is void there, and the grid is the same.
    every = {name for record in records for name in record.metrics}
    names = sorted(name for name in every if name.startswith(prefix) and name.endswith(suffix))
    logs = np.empty((len(records), len(names)))
    for row, record in enumerate(records):
        logs[row] = [_value(record, name) for name in names]
    # Of fewer readings than three, as in smoke runs, all must be valid.
    kept = logs[:, np.isfinite(logs).sum(axis=0) >= min(MIN_SEEDS, len(records))]
    if kept.shape[1] < max(1, len(names) / 2):
        void = f"{len(names) - kept.shape[1]} of {len(names)} cells are void"
        raise Missing(
            f"{arm}: {void}: run on a calm machine"
            if names
            else f"{arm}: no metric is named {prefix}...{suffix}: no cell was measured"
        )
    return kept


def _show(evidence: Evidence, arm: str, prefix: str, logs: Values) -> Values:
    """`logs`, whose medians a card shows."""
    evidence.show(arm, SHOWN[prefix], np.exp(typical(logs)))
    return logs


def _value(record: Record, name: str) -> float:
    value = record.metrics.get(name)
    return math.nan if value is None else float(value)
