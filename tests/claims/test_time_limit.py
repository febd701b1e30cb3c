"""A trial's time limit: what it waited for a processor is not its own."""

import time

import pytest

from normlab.claims.run import time_limit as module
from normlab.claims.run.time_limit import TrialTimeout, time_limit, waited_s


def test_what_takes_too_long_is_ended():
    began = time.perf_counter()
    with pytest.raises(TrialTimeout), time_limit(0.1):
        time.sleep(60)
    assert time.perf_counter() - began < 30


def test_waiting_for_a_processor_does_not_count(monkeypatch):
    """As on a machine that others use: half of the time is theirs."""
    began = time.perf_counter()
    monkeypatch.setattr(module, "waited_s", lambda: (time.perf_counter() - began) / 2)
    with pytest.raises(TrialTimeout), time_limit(0.2):
        while True:
            time.sleep(0.01)
    assert time.perf_counter() - began > 0.39


def test_the_system_says_how_long_a_process_has_waited():
    assert waited_s() >= 0.0
    assert waited_s(2**22 + 1) == 0.0  # there is no such process
