"""Which claims and jobs `normlab run` takes, and what they are expected to cost."""

from dataclasses import replace

import pytest

from normlab.claims.registry import load_claim, slugs
from normlab.claims.run import session
from normlab.claims.run.request import RunRequest
from normlab.errors import NormLabError


def test_neither_and_both_are_refused_each_in_its_words():
    with pytest.raises(NormLabError, match="name claims, or pass --all"):
        session.select(RunRequest())
    with pytest.raises(NormLabError, match="--all runs hf-layernorm, too: leave one of both out"):
        session.select(RunRequest(slugs=("hf-layernorm",), all_claims=True))


def test_all_are_every_claim_of_the_project():
    chosen = session.select(RunRequest(all_claims=True)).claims
    assert [claim.slug for claim in chosen] == slugs()


def test_missing_jobs_are_listed_once_and_what_measures_time_last(toy, tmp_path, monkeypatch):
    toy_claim = load_claim("toy", toy(seeds=2))
    timed = replace(toy_claim, slug="timed", timed=True)
    shared = replace(toy_claim, statement="The same trials.")
    claims = (timed, toy_claim, shared)
    monkeypatch.setattr(session, "select", lambda _: session.Selection(claims))
    jobs = session.missing_jobs(RunRequest(results=tmp_path))
    assert [job.claim for job in jobs] == ["toy"] * 4 + ["timed"] * 4
    assert len({job.key for job in jobs}) == 8
