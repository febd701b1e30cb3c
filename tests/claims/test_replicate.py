"""Verdicts that are asked again, with seeds that nobody has used."""

import time
from dataclasses import replace

import pytest

from normlab.claims.registered import register
from normlab.claims.registry import load_claim
from normlab.claims.replications import Replication, rate_in_words, replications
from normlab.claims.run import replicate as module
from normlab.claims.run.execute import execute
from normlab.claims.run.replicate import chosen, fresh_seed, replicate
from normlab.errors import NormLabError
from normlab.records.verdict import Verdict


class Engine:
    """Runs each job at once, in this process."""

    workers = 1

    def __init__(self, folder):
        self.folder = folder

    def submit(self, job):
        from concurrent.futures import Future

        future = Future()
        future.set_result(execute(job, self.folder))
        return future

    def close(self):
        pass


@pytest.fixture
def toy_claim(toy, monkeypatch):
    folder = toy(seeds=5)
    monkeypatch.setattr(module, "build_engine", lambda *_: Engine(folder))
    return replace(load_claim("toy", folder), first_seed=100)


def said(word):
    return Verdict("toy", "", (), word, (), profile="quick", version="abc")


def test_a_claim_is_run_again_apart_and_what_came_of_it_is_kept(toy_claim, tmp_path):
    register([(toy_claim, "quick")], tmp_path, None, {})
    assert fresh_seed("toy", tmp_path) == 100_000
    done, tally = replicate([(toy_claim, said("supported"))], tmp_path, "c")
    assert tally.done == 10 and [row.held for row in done] == [True]
    assert (tmp_path / "replications" / "100000" / "toy.jsonl").is_file()
    assert not (tmp_path / "toy.jsonl").exists()
    again, _ = replicate([(toy_claim, said("refuted"))], tmp_path, "c")
    assert (again[0].first_seed, again[0].is_contrary) == (200_000, True)
    assert replications(tmp_path) == [*done, *again]
    assert rate_in_words(replications(tmp_path)) == (
        "Of 2 verdicts that were run again with other seeds 1 held, 0 were left open, and 1 came "
        "out otherwise."
    )


def test_what_the_deadline_leaves_incomplete_is_no_replication_and_goes_on(toy_claim, tmp_path):
    pairs = [(toy_claim, said("supported"))]
    done, tally = replicate(pairs, tmp_path, None, deadline=time.perf_counter() - 1)
    assert done == [] and tally.done == 0 and replications(tmp_path) == []
    done, _ = replicate(pairs, tmp_path, None)
    assert [row.first_seed for row in done] == [100_000]


def test_a_random_share_is_of_decided_claims_with_luck_in_them(toy_claim):
    claims = [replace(toy_claim, slug=f"claim-{i}") for i in range(10)]
    claims += [replace(toy_claim, first_seed=0), toy_claim]
    verdicts = [said("supported")] * 11 + [said("inconclusive")]
    assert len(chosen(claims, verdicts, None, 0)) == 10
    one, other = ([c.slug for c, _ in chosen(claims, verdicts, 0.3, seed)] for seed in (0, 1))
    assert len(one) == len(other) == 3 and one != other
    with pytest.raises(NormLabError, match="nothing to run again"):
        chosen(claims[-2:], verdicts[-2:], 0.5, 0)
    with pytest.raises(NormLabError, match="--share 2: give more than 0"):
        chosen(claims, verdicts, 2.0, 0)


def test_a_verdict_that_is_left_open_is_no_contradiction():
    row = Replication("a", "", "full", 1, "supported", "inconclusive")
    assert not row.held and not row.is_contrary and rate_in_words([]) == ""
