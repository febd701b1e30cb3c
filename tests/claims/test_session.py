"""Which claims and jobs `normlab run` takes, and what they are expected to cost."""

from dataclasses import replace

import pytest

from normlab.claims.claim import Protocol
from normlab.claims.design import Design
from normlab.claims.looks import Looks
from normlab.claims.registry import load_claim
from normlab.claims.run import session
from normlab.claims.run.request import RunRequest
from normlab.errors import NormLabError
from normlab.records.record import Record


def test_neither_and_both_are_refused_each_in_its_words():
    with pytest.raises(NormLabError, match="name claims, or pass --all"):
        session.select(RunRequest())
    with pytest.raises(NormLabError, match="--all runs hf-layernorm, too: leave one of both out"):
        session.select(RunRequest(slugs=("hf-layernorm",), all_claims=True))


def test_missing_jobs_are_listed_once_and_what_measures_time_last(toy, tmp_path, monkeypatch):
    toy_claim = load_claim("toy", toy(seeds=2))
    timed = replace(toy_claim, slug="timed", timed=True)
    shared = replace(toy_claim, statement="The same trials.")
    claims = (timed, toy_claim, shared)
    monkeypatch.setattr(session, "select", lambda _: session.Selection(claims))
    jobs = session.missing_jobs(RunRequest(results=tmp_path))
    assert [job.claim for job in jobs] == ["toy"] * 4 + ["timed"] * 4
    assert len({job.key for job in jobs}) == 8


def test_a_plan_is_expected_to_cost_what_its_own_trials_did(toy):
    claim = load_claim("toy", toy(seeds=2))
    protocol = claim.protocols["quick"]
    other = Protocol(looks=Looks((2,)), options={"seconds": 9.0, "folder": ""})
    known = {}
    for planned, seconds in ((protocol, 2.0), (other, 100.0)):
        for job in Design(claim, planned).progress({}).jobs:
            known[job.key] = Record(job.key, {}, claim="toy", status="ok", duration_s=seconds)
    progress = Design(claim, protocol).progress(known)
    assert session.seconds_per_trial(protocol, progress, known) == 2.0
    assert session.seconds_per_trial(protocol, progress, {}) == protocol.seconds_per_trial
