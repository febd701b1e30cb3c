"""How far a norm is from the best in a question, as a ratio; and performance profiles of them.

E. D. Dolan and J. J. More, "Benchmarking optimization software with performance profiles" (2002);
for the training of networks G. E. Dahl et al., "Benchmarking Neural Network Training Algorithms"
(2023), arXiv:2306.07179.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from normlab.score.norm_table import OPEN, Column
from normlab.score.row import Row


def quantity(row: Row, shown: float) -> float:
    """What is compared of a question, less is better, from its value as it is shown.

    - an accuracy a in per cent: the error 100 - a. A ratio of accuracies would say little where all
      are near 100, and is bounded by 100 over chance.
    - points lost d: max(d, m), with m the row's margin. Points can be 0 or negative, of which no
      ratio can be made, and fewer than m are no difference by the row's own rule.
    - a width in decades, or a depth in layers, w, of which more is better: 1 / w; infinite at 0.
    - a batch in samples, or a time in copies of the input: itself.
    """
    if row.unit == "%":
        return 100.0 - shown
    if row.unit == "points":
        return max(shown, row.margin)
    if row.sign > 0:
        return 1.0 / shown if shown > 0 else math.inf
    return shown


def ratios(row: Row, values: Mapping[str, float | None]) -> dict[str, float]:
    """By norm, r = t / min t, with t its `quantity`; infinite where the value is None: a miss.

    Where all miss there is no best, and all are infinite.
    """
    costs = {
        name: math.inf if value is None else quantity(row, value) for name, value in values.items()
    }
    best = min(costs.values(), default=math.inf)
    if not math.isfinite(best):
        return dict.fromkeys(costs, math.inf)
    # Of two errors of 0 neither is larger; beside one of 0 every other is beyond any factor.
    return {name: _over(one, best) for name, one in costs.items()}


def _over(one: float, best: float) -> float:
    if one == best:
        return 1.0
    return one / best if best > 0 else math.inf


@dataclass(frozen=True)
class Profile:
    """rho(tau) = |{questions with r <= tau}| / |questions|, for each norm.

    ratios: r by norm, one for each of `questions`, in that order. left_out: norms of which some
    question has no data, with those questions. A share of questions is no mark: where two profiles
    cross, which norm is ahead depends on tau.
    """

    questions: tuple[str, ...]
    ratios: Mapping[str, tuple[float, ...]]
    left_out: Mapping[str, tuple[str, ...]]

    def share(self, norm: str, tau: float) -> float:
        """Of the questions, those in which `norm` is within `tau` times the best; 0 to 1."""
        # 1e-9: a ratio of 2 that was rounded up is within 2.
        within = [ratio <= tau * (1 + 1e-9) for ratio in self.ratios[norm]]
        return sum(within) / len(within) if within else 0.0

    def steps(self, norm: str, last: float) -> list[tuple[float, float]]:
        """(tau, share) at the ends of each step from 1 to `last`, for a line."""
        rises = sorted({ratio for ratio in self.ratios[norm] if 1 < ratio <= last})
        points = [(1.0, self.share(norm, 1.0))]
        for tau in rises:
            points += [(tau, points[-1][1]), (tau, self.share(norm, tau))]
        return [*points, (last, points[-1][1])]

    @property
    def largest(self) -> float:
        """The largest ratio that is no miss; 1 where there is none."""
        every = [ratio for of_norm in self.ratios.values() for ratio in of_norm]
        return max((ratio for ratio in every if math.isfinite(ratio)), default=1.0)


def profile(columns: Sequence[Column], norms: Sequence[str]) -> Profile:
    """Over the questions in which some norm is no miss, of the norms that have data in all."""
    asked = [column for column in columns if _has_best(column)]
    left_out, kept = {}, {}
    for norm in norms:
        entries = {column.row.name: column.entries[norm] for column in asked}
        missing = tuple(name for name, entry in entries.items() if entry.ratio is None)
        if missing:
            left_out[norm] = missing
        else:
            kept[norm] = tuple(one.ratio for one in entries.values() if one.ratio is not None)
    return Profile(tuple(column.row.name for column in asked), kept, left_out)


def _has_best(column: Column) -> bool:
    found = [one.ratio for one in column.entries.values() if one.standing != OPEN]
    return any(ratio is not None and math.isfinite(ratio) for ratio in found)
