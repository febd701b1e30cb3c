"""Two callables timed against each other in one process.

Absolute times on a shared machine say little; a ratio whose two sides alternate within milliseconds
says a lot. Each round times the baseline, the subject and the baseline again, in an order that
rotates from round to round, so that a slow drift of the clock or of the neighbours falls on all of
them alike. The two timings of the baseline are the control: their ratio must be 1, and how far it
is off bounds what the other ratio can be trusted for.
"""

import gc
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

CONTROL_TOLERANCE = 0.03
ATTEMPTS = 3  # at a control within tolerance; after them the comparison is void

Clock = Callable[[Callable[[], object], int], float]  # seconds a call, over that many calls


class Sides(NamedTuple):
    """What is compared; `twin` is another object that does what `baseline` does, built apart, with
    memory of its own."""

    subject: Callable[[], object]
    baseline: Callable[[], object]
    twin: Callable[[], object]


@dataclass(frozen=True)
class Comparison:
    ratio: float  # subject / baseline, median over rounds
    ratio_low: float  # lower quartile
    ratio_high: float  # upper quartile
    control: float  # baseline / baseline, median over rounds
    baseline_s: float  # seconds a call, median
    subject_s: float
    rounds: int
    interval_low: float  # 95 % interval of the median ratio
    interval_high: float
    attempts: int = 1

    @property
    def valid(self) -> bool:
        """Whether the A/A control stayed within ±3 %; a row that fails this is void."""
        return abs(self.control - 1) <= CONTROL_TOLERANCE


def compare(
    subject: Callable[[], object],
    baseline: Callable[[], object],
    rounds: int = 30,
    min_seconds: float = 0.02,
    clock: Clock | None = None,
    twin: Callable[[], object] | None = None,
) -> Comparison:
    """Times `subject` against `baseline`, interleaved, each sample repeated until it lasts about
    `min_seconds`.

    `clock` measures on a device that runs behind its host (`conditions.cuda_clock`); leave it out
    on the CPU. `twin` is another object that does what `baseline` does: the control then holds for
    where things lie in memory, too.
    """
    if rounds < 2:
        raise ValueError(f"quartiles need at least 2 rounds, not {rounds}")
    clock = clock or wall_clock
    repeats_baseline = _repeats(baseline, min_seconds, clock)
    repeats_subject = _repeats(subject, min_seconds, clock)
    again = twin or baseline
    again()
    sides = [(baseline, repeats_baseline), (subject, repeats_subject), (again, repeats_baseline)]
    first, ours, second = [], [], []  # seconds a call
    # A garbage collection would fall into one call, and could take longer than it.
    collecting = gc.isenabled()
    gc.disable()
    try:
        for round_ in range(rounds):
            seconds = [0.0, 0.0, 0.0]
            for position in range(3):
                side = (position + round_) % 3
                seconds[side] = clock(*sides[side])
            # Alternating which timing is called the first keeps a trend within the rounds out of
            # the control.
            a, b = (0, 2) if round_ % 2 else (2, 0)
            first.append(seconds[a])
            ours.append(seconds[1])
            second.append(seconds[b])
    finally:
        if collecting:
            gc.enable()
    # Against the mean of the baselines around it.
    ratios = [2 * s / (a + b) for s, a, b in zip(ours, first, second, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    interval = median_interval(ratios)
    return Comparison(
        ratio=statistics.median(ratios),
        ratio_low=low,
        ratio_high=high,
        control=statistics.median(b / a for a, b in zip(first, second, strict=True)),
        baseline_s=statistics.median(first + second),
        subject_s=statistics.median(ours),
        rounds=rounds,
        interval_low=interval[0],
        interval_high=interval[1],
    )


def compare_until_valid(
    subject: Callable[[], object],
    baseline: Callable[[], object],
    attempts: int = ATTEMPTS,
    **timing: Any,
) -> Comparison:
    """`compare`, again where the control is out of tolerance; the last attempt counts, void if it
    is, too.

    Only the control decides, never the ratio, so that trying again chooses no result.
    """
    comparison = compare(subject, baseline, **timing)
    while not comparison.valid and comparison.attempts < attempts:
        comparison = replace(compare(subject, baseline, **timing), attempts=comparison.attempts + 1)
    return comparison


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the median by order statistics, which assumes no distribution; the range below 6
    values.

    The k-th smallest and k-th largest of n values miss the median where fewer than k of n fair
    coins show heads, or tails: k is the largest for which that is rare enough.
    """
    ordered, n = sorted(values), len(values)
    # Both sides: all heads or all tails.
    k, missed = 1, 2 / 2**n
    while k < n / 2 and missed + 2 * math.comb(n, k) / 2**n <= 1 - confidence:
        missed += 2 * math.comb(n, k) / 2**n
        k += 1
    return ordered[k - 1], ordered[n - k]


def wall_clock(function: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) / repeats


def thread_clock(function: Callable[[], object], repeats: int) -> float:
    """Seconds of this thread's own time: what others do on a busy machine counts for less."""
    start = time.thread_time()
    for _ in range(repeats):
        function()
    return (time.thread_time() - start) / repeats


def _repeats(function: Callable[[], object], min_seconds: float, clock: Clock) -> int:
    """How many calls last `min_seconds`; finding out also warms the function up."""
    function()
    repeats = 1
    while True:
        seconds = clock(function, repeats)
        # A quarter is long enough to extrapolate from.
        if seconds * repeats >= min_seconds / 4:
            return max(1, round(min_seconds / seconds))
        repeats *= 2
