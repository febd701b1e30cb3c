"""The arithmetic of ratios, with clocks that are made up, and the conditions under which real
ones run."""

import math
import resource
import sys
import types
from itertools import cycle

import numpy as np
import pytest
import torch

from normlab.measure.timing import conditions
from normlab.measure.timing.harness import compare, compare_until_valid, median_interval


def made_up_clock(seconds):
    """`seconds` maps a function to the times that its calls take, one after another."""
    left = {function: cycle(times) for function, times in seconds.items()}
    return lambda function, repeats: next(left[function])


def baseline():
    pass


def subject():
    pass


def test_ratio_control_and_intervals_of_a_made_up_clock():
    clock = made_up_clock({baseline: [1.0], subject: [2.0, 2.2, 1.8, 2.0, 2.1, 1.9, 2.0, 2.0, 2.0]})
    result = compare(subject, baseline, rounds=8, min_seconds=0.0, clock=clock)
    assert result.ratio == 2.0 and result.control == 1.0 and result.valid and result.attempts == 1
    assert (result.interval_low, result.interval_high) == (
        1.8,
        2.2,
    )  # of 8 values: the smallest and the largest
    assert (
        result.interval_low
        <= result.ratio_low
        <= result.ratio
        <= result.ratio_high
        <= result.interval_high
    )
    assert (result.baseline_s, result.subject_s) == (1.0, 2.0)


def test_a_control_off_by_more_than_3_percent_is_tried_again_and_then_void():
    calls = []
    second = {
        1,
        3,
        6,
        8,
        10,
        11,
    }  # which of the baseline's calls an attempt takes for the second of its round

    def clock(function, repeats):
        attempt, place = divmod(len(calls), 20)  # 2 calls that find the repeats, 6 rounds of 3
        place = calls[20 * attempt :].count(baseline)
        calls.append(function)
        slow = 1.1 if attempt < wrong and place in second else 1.0
        return slow if function is baseline else 3.0

    wrong = 2
    result = compare_until_valid(subject, baseline, rounds=6, min_seconds=0.0, clock=clock)
    assert result.valid and result.attempts == 3 and result.control == 1.0 and len(calls) == 60
    calls.clear()
    wrong = 9
    result = compare_until_valid(subject, baseline, rounds=6, min_seconds=0.0, clock=clock)
    assert not result.valid and result.attempts == 3 and len(calls) == 60
    assert result.control == pytest.approx(1.1)


def test_interval_of_the_median_covers_it():
    random = np.random.default_rng(0)
    for n in (6, 9, 12, 30):
        draws = random.exponential(size=(2000, n))
        hits = [
            low <= math.log(2) <= high
            for low, high in (median_interval(row.tolist()) for row in draws)
        ]
        assert 0.94 <= np.mean(hits) <= 0.985, n
    assert median_interval([3.0, 1.0, 2.0]) == (1.0, 3.0)
    low, high = median_interval(list(range(30)))
    assert (low, high) == (
        9,
        20,
    )  # the 10th smallest and largest, as tables of the sign test have it


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_large_blocks_stay_between_calls():
    def faults(calls):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(calls):
            torch.empty(16 * 2**20).fill_(1.0)  # 64 MiB, 16,384 pages
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    with conditions.timing_conditions():
        faults(20)  # aligned blocks find no room in one another's place at first
        assert faults(3) < 1000
    assert faults(3) > 1000


def test_the_device_clock_reads_events(monkeypatch):
    log = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            log.append("record")

        def synchronize(self):
            log.append("wait")

        def elapsed_time(self, end):
            return 12.0  # milliseconds

    fake = types.SimpleNamespace(Event=Event, synchronize=lambda: log.append("idle"))
    monkeypatch.setattr(torch, "cuda", fake)
    assert conditions.cuda_clock(lambda: log.append("call"), 3) == pytest.approx(0.004)
    assert log == ["idle", "record", "call", "call", "call", "record", "wait"]
