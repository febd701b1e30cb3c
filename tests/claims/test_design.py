"""Designs: tuning first, the grid extended at its edges, the same seeds for every arm."""

import pytest

from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.design import FIRST_TUNING_SEED, Design
from normlab.claims.quantity import value
from normlab.claims.rules import AtLeast
from normlab.claims.run.execute import execute
from normlab.config.compose import compose, compose_node, to_dict, typed
from normlab.records.record import Record, trial_key

BASE = ("data=digits", "trainer.max_steps=4")


def claim(arms, **options):
    parts = (Part("p", "s", value("a"), AtLeast(1.0)),)
    return Claim("toy", "s", ("d",), "s", "p", parts, arms, **options)


ARMS = (
    Arm("a", ("norm=groupnorm",)),
    Arm("b", ("norm=none",)),
    Arm("fixed", ("norm=layernorm",), tune=False),
)
PROTOCOL = Protocol(BASE, seeds=3, learning_rates=(0.01, 0.1), tuning_seeds=2)


def run(jobs, score):
    """Records of jobs whose validation accuracy is `score(job)`."""
    return {
        job.key: Record(job.key, {}, status="ok", metrics={"val_accuracy": score(job)})
        for job in jobs
    }


def rate(job):
    return float(job.overrides[-1].split("=")[1])


def test_tuning_comes_first_and_seeds_never_meet():
    step = Design(claim(ARMS), PROTOCOL).progress({})
    tuned = [job for job in step.jobs if job.stage == "tune"]
    assert len(tuned) == 2 * 2 * 2
    assert {job.seed for job in tuned} == {FIRST_TUNING_SEED, FIRST_TUNING_SEED + 1}
    evaluated = [job for job in step.jobs if job.stage == "evaluate"]
    assert {job.arm for job in evaluated} == {"fixed"}
    assert {job.seed for job in evaluated} == {0, 1, 2}
    assert step.remaining == len(step.jobs) + 2 * 3


def test_best_rate_inside_the_grid_is_taken():
    protocol = Protocol(BASE, seeds=3, learning_rates=(0.01, 0.1, 1.0), tuning_seeds=1)
    first = Design(claim(ARMS[:1]), protocol).progress({})
    records = run(first.jobs, lambda job: 0.9 if rate(job) == 0.1 else 0.5)
    second = Design(claim(ARMS[:1]), protocol).progress(records)
    assert second.learning_rates == {"a": 0.1}
    assert [rate(job) for job in second.jobs] == [0.1] * 3


def test_grid_is_extended_where_the_best_lies_at_its_edge():
    records = {}
    tried = set()
    for _ in range(10):
        step = Design(claim(ARMS[:1]), PROTOCOL).progress(records)
        jobs = [job for job in step.jobs if job.stage == "tune"]
        if not jobs:
            break
        tried |= {rate(job) for job in jobs}
        records |= run(jobs, lambda job: -abs(rate(job) - 10.0))
    assert tried == {0.01, 0.1, 1.0, 10.0, 100.0}
    assert step.learning_rates == {"a": 10.0}
    fixed = Protocol(BASE, seeds=3, learning_rates=(0.01, 0.1), tuning_seeds=2, extend=False)
    step = Design(claim(ARMS[:1]), fixed).progress(records)
    assert step.learning_rates == {"a": 0.1}


def test_failed_and_not_finite_tuning_trials_are_the_worst():
    first = Design(claim(ARMS[:1]), PROTOCOL).progress({})
    records = run(first.jobs, lambda job: 0.5)
    for job in first.jobs:
        if rate(job) == 0.1 and job.seed == FIRST_TUNING_SEED:
            records[job.key].status = "failed"
            records[job.key].metrics = {}
    step = Design(claim(ARMS[:1]), PROTOCOL).progress(records)
    # 0.01 is the best and at the edge: the grid grows downwards.
    assert all(rate(job) < 0.01 for job in step.jobs)


@pytest.mark.parametrize("evaluations", [(), ("precise",)])
def test_planned_keys_are_those_of_the_records(evaluations, tmp_path):
    arm = Arm("a", ("norm=batchnorm", "norm.ghost_batch=4"), evaluations=evaluations)
    step = Design(claim((arm,)), Protocol(BASE, seeds=1)).progress({})
    record = execute(step.jobs[0], tmp_path)
    assert record.status in ("ok", "diverged"), record.message  # four steps do not get far
    composed = trial_key(to_dict(compose(list(step.jobs[0].overrides))))
    assert record.key == step.jobs[0].key == composed
    assert ("precise_test_accuracy" in record.metrics) == bool(evaluations)
    assert step.jobs[0].command.startswith("python train.py data=digits")


@pytest.mark.parametrize(
    "overrides",
    [
        ("norm=batchnorm", "seed=3", "optim.lr=0.03", "evaluations=[statistics]", "logger=none"),
        ("model.width=8", "model=mlp", "model.width=16"),  # a value before its choice, and twice
        ("norm.eps=1e-3", "trainer.resume='a b'"),
        ("norm.eps=1e-3", "optim.lr=null"),  # refused, in Hydra's words
        ("norm.eps=1e-3", "+norm.momentum=0.3"),
        ("logger=[csv,tensorboard]", "data=pydoc", "model=transformer", "~probes"),
    ],
)
def test_values_set_on_a_kept_configuration_are_as_hydra_sets_them(overrides):
    def composed(compose_it):
        try:
            return to_dict(compose_it())
        except Exception as error:
            return type(error), str(error)

    kept = composed(lambda: compose(overrides))
    assert kept == composed(lambda: typed(compose_node(overrides)))


def test_equal_overrides_give_equal_keys_in_other_claims():
    keys = []
    for one in (claim(ARMS[:1]), Claim("other", "s", ("d",), "s", "p", (), ARMS[:1])):
        keys.append([job.key for job in Design(one, PROTOCOL).progress({}).jobs])
    assert keys[0] == keys[1]


def test_a_trial_of_a_stage_is_planned_once_however_often_it_is_asked_for():
    design = Design(claim(ARMS), PROTOCOL)
    assert design.jobs(ARMS[0], 0.1, "tune") is design.jobs(ARMS[0], 0.1, "tune")
