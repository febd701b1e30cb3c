"""Records of older code run again, or stand once a trial of each way has given the same bits."""

import json
import re
import subprocess

import pytest

from normlab.claims.design import Job
from normlab.claims.registry import load_claim
from normlab.claims.run import earlier_code
from normlab.claims.run.earlier_code import run_by_commits
from normlab.claims.run.engines import build_engine
from normlab.claims.run.execute import execute
from normlab.claims.run.recheck import recheck
from normlab.claims.run.runner import run_claims
from normlab.claims.verdicts import verdict
from normlab.config.compose import compose, to_dict
from normlab.norms import kernels
from normlab.records.provenance import way_of
from normlab.records.record import Record
from normlab.records.store import Store
from normlab.records.tree import here

BEFORE = "0123456789ab"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """Trials that are run again are kept there."""
    monkeypatch.setenv("NORMLAB_CACHE", str(tmp_path / "cache"))


def made_by_other_code(results, file):
    """Change the records as if they had been made by code in which `file` was another."""
    known = json.loads((results / "sources.json").read_text())
    ((now, hashes),) = known["sources"].items()
    known["sources"] = {BEFORE: {**hashes, file: "00000000"}}
    (results / "sources.json").write_text(json.dumps(known))
    lines = (results / "toy.jsonl").read_text()
    (results / "toy.jsonl").write_text(lines.replace(now, BEFORE))


@pytest.mark.parametrize(("file", "again"), [("norms/batch.py", True), ("data/images.py", False)])
def test_renew_runs_again_what_older_code_has_recorded(toy, tmp_path, file, again):
    """A claim's own trial may call any norm; it does not read the package's images."""
    folder, results = toy(seeds=3), tmp_path / "results"
    claim = load_claim("toy", folder)

    def run(renew):
        return run_claims(
            [claim], "quick", Store(results), build_engine("local", 1, folder), renew=renew
        ).done

    assert run(False) == 6
    made_by_other_code(results, file)
    assert run(False) == 0
    assert run(True) == (6 if again else 0)
    assert run(True) == 0
    assert len((results / "toy.jsonl").read_text().splitlines()) == (12 if again else 6)


@pytest.fixture
def older(toy, tmp_path):
    """(claim, results, folder) of a toy whose records were made by another norms/batch.py."""
    folder, results = toy(seeds=3), tmp_path / "results"
    claim = load_claim("toy", folder)
    run_claims([claim], "quick", Store(results), build_engine("local", 1, folder))
    made_by_other_code(results, "norms/batch.py")
    assert verdict(claim, Store(results)).stale == ("code changed since: norms/batch.py",)
    return claim, results, folder


def test_records_stand_when_a_trial_of_each_way_gives_the_same_bits(older):
    claim, results, folder = older
    rows = recheck([claim], Store(results), build_engine("local", 1, folder), folder)
    assert len(rows) == 1 and rows[0]["same"]  # A and B differ by a number only
    assert verdict(claim, Store(results)).stale == ()
    assert recheck([claim], Store(results), build_engine("local", 1, folder), folder) == []
    assert (
        len((results / "toy.jsonl").read_text().splitlines()) == 6
    )  # no record is added or changed


def test_bits_of_other_kernels_are_not_compared(older):
    """Records name what norms on the CPU ran by; those in C give the same bits everywhere."""
    claim, results, folder = older
    lines = (results / "toy.jsonl").read_text()
    assert f'"kernel": "{kernels.name()}"' in lines
    other = "torch" if kernels.name() != "torch" else "c-avx2"
    named = f'"kernel": "{kernels.name()}"', f'"kernel": "{other}"'
    (results / "toy.jsonl").write_text(lines.replace(*named))
    assert recheck([claim], Store(results), build_engine("local", 1, folder), folder) == []
    assert verdict(claim, Store(results)).stale == ("code changed since: norms/batch.py",)


def test_records_stay_stale_when_a_trial_gives_something_else(older):
    claim, results, folder = older
    lines = (results / "toy.jsonl").read_text()
    other = lines.replace('"score": 3.0', '"score": 3.0000001').replace(": 1.0", ": 1.001")
    (results / "toy.jsonl").write_text(other)
    (row,) = recheck([claim], Store(results), build_engine("local", 1, folder), folder)
    assert not row["same"] and row["differs"].startswith("metrics.score: ")
    assert verdict(claim, Store(results)).stale == ("code changed since: norms/batch.py",)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository whose commits hold a normlab that gives each job the score in `given.txt`."""
    folder = tmp_path / "repository"
    package = folder / "src" / "normlab" / "claims"
    package.mkdir(parents=True)
    (folder / "conf").mkdir()
    (folder / "conf" / "config.yaml").write_text("")
    (folder / "experiments").mkdir()
    for place in (package, package.parent):
        (place / "__init__.py").write_text("")
    (package / "plan.py").write_text(EARLIER_PLAN)
    runs = folder / "runs"  # a file for each trial
    runs.mkdir()
    (package / "execute.py").write_text(EARLIER_EXECUTE.replace("RUNS", str(runs)))
    monkeypatch.setattr(earlier_code, "CHECKOUT", folder)

    def git(*arguments):
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        done = subprocess.run(
            ["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(score):
        (folder / "experiments" / "given.txt").write_text(str(score))
        git("add", ".")
        git("commit", "-qm", f"a score of {score}")
        return git("rev-parse", "HEAD")

    git("init", "-q")
    return folder / "experiments", commit


EARLIER_PLAN = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Job:
    key: str
    claim: str
    arm: str
    seed: int
    stage: str
    overrides: tuple
    options: tuple
    timeout_s: float
"""
EARLIER_EXECUTE = """
import json
from pathlib import Path

class Record(dict):
    def to_json(self):
        return json.dumps(self)

def execute(job, experiments):
    print("what a trial prints is no record")
    if job.arm == "crash":
        raise AssertionError("planned as one, ran as another")
    score = float((experiments / "given.txt").read_text())
    Path("RUNS", job.key).touch()
    metrics = {"score": score, **dict(job.options)}
    return Record(key=job.key, config={}, status="ok", metrics=metrics)
"""


def job(key, arm="A"):
    return Job(key, "toy", arm, 0, options=(("x", 2.0),))


def test_each_job_is_run_by_the_commit_that_is_named_for_it(repository, capfd):
    experiments, commit = repository
    first, second = commit(1.5), commit(2.5)
    jobs = [(job("a"), first), (job("b"), second), (job("c", "crash"), first), (job("d"), "0" * 40)]
    given = {
        one.key: record and record.metrics for one, record in run_by_commits(jobs, experiments, 2)
    }
    assert given == {
        "a": {"score": 1.5, "x": 2.0},
        "b": {"score": 2.5, "x": 2.0},
        "c": None,
        "d": None,
    }
    said = capfd.readouterr().err
    assert "c: AssertionError: planned as one" in said and "fetch its whole history" in said


def test_what_a_commit_has_given_is_not_run_again(repository):
    experiments, commit = repository
    first = commit(1.5)
    for key, times in (("a", 1), ("a", 1), ("b", 2)):
        ((_, record),) = run_by_commits([(job(key), first)], experiments, 1)
        assert record.metrics == {"score": 1.5, "x": 2.0}
        assert len(list((experiments.parent / "runs").iterdir())) == times


def test_claims_outside_of_the_repository_have_no_commit(repository, tmp_path, capfd):
    _, commit = repository
    jobs = [(job("a"), commit(1.0))]
    assert list(run_by_commits(jobs, tmp_path, 1)) == [(jobs[0][0], None)]
    assert "no commit holds its claims" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("off", "dirty", "same"), [(0.0, False, True), (0.5, False, False), (0.0, True, False)]
)
def test_the_commit_decides_where_another_processor_made_the_record(
    older, monkeypatch, off, dirty, same
):
    claim, results, folder = older
    lines = (results / "toy.jsonl").read_text()
    others = re.sub(r'"score": ([\d.]+)', lambda found: f'"score": {float(found[1]) + 1e-7}', lines)
    made = re.sub(r'"dirty": (true|false)', f'"dirty": {str(dirty).lower()}', others)
    (results / "toy.jsonl").write_text(made)

    def run_by_commits(jobs, experiments, workers):
        assert experiments == folder
        for one, _ in jobs:
            score = dict(one.options)["level"] + 0.01 * one.seed + off
            yield one, Record("", {}, status="ok", metrics={"score": score})

    monkeypatch.setattr("normlab.claims.run.recheck.run_by_commits", run_by_commits)
    (row,) = recheck([claim], Store(results), build_engine("local", 1, folder), folder)
    assert row["same"] is same and row["processor"]
    assert ("commit" in row) is not dirty  # which no commit has made
    stale = () if same else ("code changed since: norms/batch.py",)
    assert verdict(claim, Store(results)).stale == stale


def test_a_recheck_says_nothing_of_files_that_changed_after_it(older):
    claim, results, folder = older
    (row,) = recheck([claim], Store(results), build_engine("local", 1, folder), folder)
    known = json.loads((results / "sources.json").read_text())
    row["now"] = "after"
    (results / "rechecks.json").write_text(json.dumps([row]))
    known["sources"]["after"] = {**here().hashes, "norms/rms.py": "00000000"}
    (results / "sources.json").write_text(json.dumps(known))
    assert verdict(claim, Store(results)).stale == ("code changed since: norms/batch.py",)


@pytest.fixture
def two_ways(toy, tmp_path, monkeypatch):
    """Like `older`, with two ways through the code: rechecks it, killed after so many trials."""
    folder, results = toy('arm("A", 3.0), arm("B", 1.0, "other")', seeds=2), tmp_path / "results"
    claim = load_claim("toy", folder)
    run_claims([claim], "quick", Store(results), build_engine("local", 1, folder))
    made_by_other_code(results, "norms/batch.py")

    def recheck_until_killed(count):
        def run_all(engine, jobs):
            for job in jobs[:count]:
                yield job, execute(job, folder)
            if len(jobs) > count:
                raise KeyboardInterrupt

        monkeypatch.setattr("normlab.claims.run.recheck.run_all", run_all)
        return recheck([claim], Store(results), build_engine("local", 1, folder), folder)

    return claim, results, recheck_until_killed


def test_a_killed_recheck_goes_on_where_it_was(two_ways, capsys):
    claim, results, recheck_until_killed = two_ways
    with pytest.raises(KeyboardInterrupt):
        recheck_until_killed(1)
    assert verdict(claim, Store(results)).stale != ()
    assert len(recheck_until_killed(2)) == 1
    assert verdict(claim, Store(results)).stale == ()
    assert "1 of 2, " in capsys.readouterr().err


def test_what_differed_is_not_run_again_by_the_same_code(two_ways):
    _, results, recheck_until_killed = two_ways
    lines = (results / "toy.jsonl").read_text()
    (results / "toy.jsonl").write_text(lines.replace('"score": 3.0', '"score": 4.0'))
    rows = recheck_until_killed(2)
    assert {row["arm"]: row["same"] for row in rows} == {"A": False, "B": True}
    assert recheck_until_killed(2) == []


def test_ways_are_the_same_for_other_numbers_and_differ_by_choices():
    def way(*overrides):
        return way_of(to_dict(compose(list(overrides))))

    assert way("seed=1", "optim.lr=0.3", "norm=batchnorm", "norm.ghost_batch=2") == way(
        "norm=batchnorm", "norm.ghost_batch=8"
    )
    ways = {
        way("norm=batchnorm"),
        way("norm=batchnorm", "norm.ghost_batch=2"),
        way("norm=batchnorm", "data=cifar10"),
    }
    assert len(ways | {way("norm=frn"), way("norm=batchnorm", "evaluations=[precise]")}) == 5
