"""Rules for ratios of times over a grid of cells: pure functions of what timed trials recorded. Torch-free.

Void cells never count. A cell counts from three valid readings on; a grid of which fewer than half of the cells count
decides nothing.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from normlab.claims import stats
from normlab.claims.evidence import Evidence, Missing
from normlab.claims.rules import ALPHA, MIN_SEEDS, Finding, ratio_in_interval
from normlab.measure.timing.trials import LOG
from normlab.records.record import Record
from normlab.records.verdict import INCONCLUSIVE, PARTLY, REFUTED, SUPPORTED

MOST, SOME = 0.75, 0.25  # of the cells


def typical(
    arm: str,
    low: float,
    high: float,
    partly: tuple[float, float] | None = None,
    prefix: str = LOG,
    suffix: str = "",
) -> Callable[[Evidence], Finding]:
    """`ratio_in_interval` of each repetition's median over the cells of `arm` (whose names end with `suffix`)."""

    def decide(evidence: Evidence) -> Finding:
        return ratio_in_interval(medians(evidence, arm, prefix, suffix), low, high, partly)

    return decide


def most_cells(
    arm: str, low: float, high: float, partly: tuple[float, float] | None = None
) -> Callable[[Evidence], Finding]:
    """Does the ratio lie between `low` and `high` in three quarters of the cells of `arm`?

    A cell's readings are tested for lying inside [low, high] (two one-sided t tests) and outside the wider `partly`.
    That at least r of k cells are inside has the p-value (k - r + 1) p_(r), p_(r) the r-th smallest of the cells': it
    holds however the cells depend on one another (Benjamini & Heller, 2008). Supported if that shows three quarters
    inside, refuted if it shows three quarters outside, partly supported if it shows a quarter inside.
    """

    def decide(evidence: Evidence) -> Finding:
        return decide_cells(
            cells(evidence, arm), medians(evidence, arm), (low, high), partly or (low, high)
        )

    return decide


def decide_cells(
    logs: np.ndarray,
    typical_logs: np.ndarray,
    inner: tuple[float, float],
    wide: tuple[float, float],
) -> Finding:
    """Of log ratios (n, k), NaN where void, with the medians (n,) over cells, which give the effect's interval."""
    n, k = logs.shape
    (low, high), (wide_low, wide_high) = (
        tuple(math.log(edge) if edge else -math.inf for edge in ends) for ends in (inner, wide)
    )
    known = [column[np.isfinite(column)] for column in logs.T]
    inside = np.array([float(stats.p_inside(column, low, high)) for column in known])
    below: list[Any] = [
        stats.p_greater(-column, -wide_low) if math.isfinite(wide_low) else 1.0 for column in known
    ]
    above: list[Any] = [
        stats.p_greater(column, wide_high) if math.isfinite(wide_high) else 1.0 for column in known
    ]
    outside = np.minimum(1.0, 2 * np.minimum(below, above))
    most, some = math.ceil(MOST * k), math.ceil(SOME * k)
    verdict = INCONCLUSIVE
    if n >= MIN_SEEDS:
        if at_least(inside, most) <= ALPHA:
            verdict = SUPPORTED
        elif at_least(outside, most) <= ALPHA:
            verdict = REFUTED
        elif at_least(inside, some) <= ALPHA:
            verdict = PARTLY
    middle, left, right = (float(value) for value in np.exp(stats.t_interval(typical_logs)))
    counts = f"{(inside <= ALPHA).sum()} of {k} cells inside {inner[0]:g} to {inner[1]:g}"
    counts += f", {(outside <= ALPHA).sum()} outside {wide[0]:g} to {wide[1]:g}"
    text = f"{counts}; the median cell takes {middle:.3g} times as long, {n} readings; asked for {MOST:.0%} of the cells"
    low_end, high_end = (left, right) if n > 1 else (None, None)
    return Finding(verdict, middle, low_end, high_end, "times", n, text, at_least(inside, some))


def at_least(p_values: np.ndarray, r: int) -> float:
    """p-value of "fewer than `r` of these null hypotheses are false" (k,), for p-values that depend in any way."""
    return min(1.0, float((len(p_values) - r + 1) * np.sort(p_values)[r - 1]))


def cells(evidence: Evidence, arm: str, prefix: str = LOG, suffix: str = "") -> np.ndarray:
    """Log ratios (n, k) of the cells of `arm` that count, NaN where a reading was void.

    Raises:
        Missing: no seeds, or fewer than half of the cells have three valid readings.
    """
    if not evidence.seeds:
        raise Missing("no seed has a trial in every arm")
    records = [evidence.records[arm][seed] for seed in evidence.seeds]
    all_names = {name for record in records for name in record.metrics}
    names = sorted(name for name in all_names if name.startswith(prefix) and name.endswith(suffix))
    logs = np.array([[_value(record, name) for name in names] for record in records]).reshape(
        len(records), len(names)
    )
    kept = logs[:, np.isfinite(logs).sum(axis=0) >= min(MIN_SEEDS, len(records))]
    if kept.shape[1] < max(1, len(names) / 2):
        raise Missing(
            f"{arm}: {len(names) - kept.shape[1]} of {len(names)} cells are void: run on a calm machine"
        )
    return kept


def medians(evidence: Evidence, arm: str, prefix: str = LOG, suffix: str = "") -> np.ndarray:
    """Log ratios (n,): the median over the cells of `arm`, of each reading.

    A void reading of a cell is taken as the mean of its others, so that every median is over the same cells.
    """
    logs = cells(evidence, arm, prefix, suffix)
    middle = np.median(np.where(np.isfinite(logs), logs, np.nanmean(logs, axis=0)), axis=1)
    at_seed = dict(zip(evidence.seeds, middle.tolist(), strict=True))

    def ratio(record: Record) -> float:
        return math.exp(at_seed[record.seed])

    # A card shows what is computed from records, under its function's name.
    ratio.__name__ = "ratio_of_times" if prefix == LOG else "ratio_by_the_norms_alone"
    return np.log(evidence.compute(arm, ratio))


def _value(record: Record, name: str) -> float:
    value = record.metrics.get(name)
    return math.nan if value is None else float(value)
