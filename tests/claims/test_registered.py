"""A rule that is changed after its trials were seen is another version, and needs fresh seeds."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from normlab.claims.looks import Looks
from normlab.claims.registered import FIRST_GENERATION, register, registered
from normlab.claims.registry import load_claim
from normlab.claims.rules import AtLeast
from normlab.claims.run import committed, proof
from normlab.claims.verdicts import verdict
from normlab.claims.version import version
from normlab.errors import NormLabError
from normlab.records.places import CHECKOUT, RESULTS
from normlab.records.store import Store
from normlab.records.verdict import Verdict


@pytest.fixture
def claim(toy):
    return replace(load_claim("toy", toy()), first_seed=100)


def changed(claim, **more):
    part = replace(claim.clauses[0], rule=AtLeast(2.0))
    return replace(claim, clauses=(part,), **more)


def test_words_make_no_version_and_rules_arms_and_protocols_do(claim):
    now = version(claim, "quick")
    part = replace(claim.clauses[0], statement="Other words.")
    for same in (replace(claim, caveats=("a",)), replace(claim, clauses=(part,))):
        assert version(same, "quick") == now
    protocol = replace(claim.protocols["quick"], looks=Looks((5, 8)))
    others = [
        changed(claim),
        replace(claim, arms=claim.arms[:1]),
        replace(claim, first_seed=200),
        replace(claim, protocols={"quick": protocol}),
        replace(claim, trial_version=2),
    ]
    assert len({version(other, "quick") for other in others} | {now}) == 6


def test_a_changed_rule_needs_fresh_seeds_and_keeps_what_it_gave_before(claim, tmp_path):
    register([(claim, "quick")], tmp_path, "abc", {})
    before = (tmp_path / "versions.json").read_bytes()
    register([(claim, "quick")], tmp_path, "def", {})
    assert (tmp_path / "versions.json").read_bytes() == before
    with pytest.raises(NormLabError, match=r"seeds from 100 on have been used.*first_seed=200"):
        register([(changed(claim), "quick")], tmp_path, "def", {})
    given = Verdict("toy", "", (), "supported", (), version=version(claim, "quick"), answer="So.")
    fresh = changed(claim, first_seed=200)
    register([(fresh, "quick")], tmp_path, "def", {"toy": given})
    first, second = registered(tmp_path)["toy"]["quick"]
    assert (first.verdict, first.text, first.commit) == ("supported", "So.", "abc")
    assert (second.first_seed, second.seeds, second.verdict) == (200, 5, "")


def test_identities_have_no_luck_to_choose(claim, tmp_path):
    exact = replace(claim, first_seed=0)
    register([(exact, "quick")], tmp_path, None, {})
    register([(changed(exact), "quick")], tmp_path, None, {})
    assert len(registered(tmp_path)["toy"]["quick"]) == 2


def test_trials_of_one_version_do_not_decide_another(claim, toy, tmp_path):
    from normlab.claims.design import Design
    from normlab.claims.run.execute import execute

    folder, results = toy(), tmp_path / "results"
    with Store(results) as store:
        for job in Design(claim, claim.protocols["quick"]).progress({}).jobs:
            store.append("toy", execute(job, folder))
    earlier = {"version": "first generation", "verdict": "refuted", "text": "n = 3"}
    (results / FIRST_GENERATION).write_text(json.dumps({"toy": earlier}))
    register([(claim, "quick")], results, None, {})
    row = verdict(claim, Store(results))
    assert row.verdict == "supported" and row.answer == "A is 2 greater."
    assert [one.verdict for one in row.history] == ["refuted"]
    other = verdict(changed(claim), Store(results))
    assert other.verdict == "no data" and "it needs fresh seeds" in other.missing[0]


def test_code_that_is_not_committed_makes_no_evidence(monkeypatch):
    answers = {"status": " M src/normlab/norms/batch.py\n?? experiments/new.py", "rev-parse": "a\n"}
    monkeypatch.setattr(committed, "git", lambda command, *_: answers[command])
    with pytest.raises(NormLabError, match=r"src/normlab/norms/batch.py and 1 more: not committed"):
        committed.check_committed(RESULTS)
    assert committed.check_committed(Path("elsewhere")) is None
    answers["status"] = ""
    assert committed.check_committed(RESULTS) == "a"


def test_a_commit_says_which_version_it_holds():
    head = subprocess.run(
        ["git", "-C", str(CHECKOUT), "rev-parse", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    if not head:
        pytest.skip("a copy without its history")
    found, lacking = proof.versions_at(head, [("affine-undo", "quick"), ("no-such-claim", "quick")])
    assert lacking is None
    # The very one, where nothing has been changed since.
    if not committed.git("status", "--porcelain", "--", "src", "experiments"):
        assert found == version(load_claim("affine-undo"), "quick")


def test_every_deciding_record_proves_that_its_rule_came_first():
    """Of this checkout's own results."""
    from normlab.claims.registry import load_all
    from normlab.claims.verdicts import verdicts

    claims, store = load_all(), Store(RESULTS)
    assert proof.problems(claims, verdicts(claims, store), store) == []
