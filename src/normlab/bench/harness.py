"""Two callables timed against each other in one process.

Absolute times on a shared machine say little; a ratio whose two sides alternate within milliseconds says a lot. Each
round times the baseline, the subject and the baseline again, in an order that rotates from round to round, so that a
slow drift of the clock or of the neighbours falls on all of them alike. The two timings of the baseline are the
control: their ratio must be 1, and how far it is off bounds what the other ratio can be trusted for.
"""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

CONTROL_TOLERANCE = 0.03


@dataclass(frozen=True)
class Comparison:
    ratio: float  # subject / baseline, median over rounds
    ratio_low: float  # lower quartile
    ratio_high: float  # upper quartile
    control: float  # baseline / baseline, median over rounds
    baseline_s: float  # seconds a call, median
    subject_s: float
    rounds: int

    @property
    def valid(self) -> bool:
        """Whether the A/A control stayed within ±3 %; a row that fails this is void."""
        return abs(self.control - 1) <= CONTROL_TOLERANCE


def compare(
    subject: Callable[[], object],
    baseline: Callable[[], object],
    rounds: int = 30,
    min_seconds: float = 0.02,
    synchronize: Callable[[], object] | None = None,
) -> Comparison:
    """Times `subject` against `baseline`, interleaved, each sample repeated until it lasts about `min_seconds`.

    `synchronize` waits for the device (`torch.cuda.synchronize`); leave it out on the CPU.
    """
    if rounds < 2:
        raise ValueError(f"quartiles need at least 2 rounds, not {rounds}")
    wait = synchronize or _nothing
    repeats_baseline = _repeats(baseline, min_seconds, wait)
    repeats_subject = _repeats(subject, min_seconds, wait)
    sides = [(baseline, repeats_baseline), (subject, repeats_subject), (baseline, repeats_baseline)]
    first, ours, second = [], [], []  # seconds a call
    collecting = gc.isenabled()
    gc.disable()
    try:
        for round_ in range(rounds):
            seconds = [0.0, 0.0, 0.0]
            for position in range(3):
                side = (position + round_) % 3
                seconds[side] = _time(*sides[side], wait)
            # Alternating which timing is called the first keeps a trend within the rounds out of the control.
            a, b = (0, 2) if round_ % 2 else (2, 0)
            first.append(seconds[a])
            ours.append(seconds[1])
            second.append(seconds[b])
    finally:
        if collecting:
            gc.enable()
    ratios = [2 * s / (a + b) for s, a, b in zip(ours, first, second, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    return Comparison(
        ratio=statistics.median(ratios),
        ratio_low=low,
        ratio_high=high,
        control=statistics.median(b / a for a, b in zip(first, second, strict=True)),
        baseline_s=statistics.median(first + second),
        subject_s=statistics.median(ours),
        rounds=rounds,
    )


def _nothing() -> None:
    return None


def _time(function: Callable[[], object], repeats: int, wait: Callable[[], object]) -> float:
    wait()
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    wait()
    return (time.perf_counter() - start) / repeats


def _repeats(function: Callable[[], object], min_seconds: float, wait: Callable[[], object]) -> int:
    """How many calls last `min_seconds`; finding out also warms the function up."""
    function()
    repeats = 1
    while True:
        seconds = _time(function, repeats, wait)
        if seconds * repeats >= min_seconds / 4:
            return max(1, round(min_seconds / seconds))
        repeats *= 2
