"""Designs: every seed chooses its rate, the grid grows at its edges, the same seeds for all."""

from dataclasses import replace

import pytest

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.design import Design
from normlab.claims.looks import Looks
from normlab.claims.quantity import value
from normlab.claims.rules import AtLeast
from normlab.claims.run.execute import execute
from normlab.config.compose import compose, compose_node, to_dict, typed
from normlab.records.record import Record, trial_key

BASE = ("data=digits", "trainer.max_steps=4")


def claim(arms, **options):
    parts = (Part("p", "s", value("a"), AtLeast(1.0)),)
    given = {"arms": arms, "first_seed": 0, **options}
    return Claim("toy", "s", ("d",), "s", "p", parts, Answers("yes", "no"), **given)


ARMS = (
    Arm("a", ("norm=groupnorm",)),
    Arm("b", ("norm=none",)),
    Arm("fixed", ("norm=layernorm",), tune=False),
)
PROTOCOL = Protocol(BASE, {}, Looks((3,)), (0.01, 0.1))


def run(jobs, score, status="ok"):
    """Records of jobs whose validation accuracy is `score(job)`."""
    return {
        job.key: Record(job.key, {}, status=status, metrics={"val_accuracy": score(job)})
        for job in jobs
    }


def rate(job):
    return float(job.overrides[-1].split("=")[1])


def walked(design, score, status="ok"):
    """The last step of a design whose jobs all run."""
    records = {}
    for _ in range(12):
        step = design.progress(records)
        if not step.jobs:
            return step
        records |= run(step.jobs, score, status)
    raise AssertionError("the grid grows without end")


def test_every_seed_of_every_arm_tries_the_same_rates():
    step = Design(claim(ARMS, first_seed=100), PROTOCOL).progress({})
    tried = {(job.arm, job.seed, rate(job)) for job in step.jobs if job.arm != "fixed"}
    assert tried == {
        (arm, seed, r) for arm in "ab" for seed in (100, 101, 102) for r in (0.01, 0.1)
    }
    assert sum(job.arm == "fixed" for job in step.jobs) == 3
    assert step.remaining == len(step.jobs) == 15
    few = Design(claim(ARMS), PROTOCOL).progress({}, {"a": 1, "fixed": 2})
    assert [(job.arm, job.seed) for job in few.jobs] == [("a", 0)] * 2 + [
        ("fixed", 0),
        ("fixed", 1),
    ]


def test_each_seed_takes_the_best_of_its_own_rates():
    protocol = Protocol(BASE, {}, Looks((3,)), (0.01, 0.1, 1.0), extend=False)
    best = {0: 0.1, 1: 1.0, 2: 0.1}
    step = walked(Design(claim(ARMS[:1]), protocol), lambda job: float(rate(job) == best[job.seed]))
    assert {seed: rate(job) for seed, job in step.evaluation["a"].items()} == best
    assert step.rates("a") == [0.1, 0.1, 1.0]


def test_grid_is_extended_where_the_best_lies_at_its_edge():
    step = walked(Design(claim(ARMS[:1]), PROTOCOL), lambda job: -abs(rate(job) - 10.0))
    assert set(step.tried["a"][0]) == {0.01, 0.1, 1.0, 10.0, 100.0}
    assert step.rates("a") == [10.0] * 3
    fixed = Protocol(BASE, {}, Looks((3,)), (0.01, 0.1), extend=False)
    step = walked(Design(claim(ARMS[:1]), fixed), lambda job: -abs(rate(job) - 10.0))
    assert step.rates("a") == [0.1] * 3


def test_a_seed_chooses_by_shorter_trials_and_has_one_at_the_full_budget():
    short = ("trainer.max_steps=2",)
    protocol = Protocol(BASE, {}, Looks((2,)), (0.01, 0.1, 1.0), choice=short)
    arm = Arm("a", ("norm=batchnorm",), evaluations=("precise",))
    design = Design(claim((arm,), first_seed=100), protocol)
    choices = design.progress({}).jobs
    assert len(choices) == 6
    for job in choices:
        steps = [item for item in job.overrides if item.startswith("trainer.max_steps")]
        assert steps[-1] == "trainer.max_steps=2"
        assert not any(item.startswith("evaluations") for item in job.overrides)
    records = run(choices, lambda job: -abs(rate(job) - 0.1))
    step = design.progress(records)
    assert step.rates("a") == [0.1, 0.1]
    # One a seed, at the full budget and with what is measured on it; the other trials decide
    # nothing.
    assert [(job.seed, rate(job)) for job in step.jobs] == [(100, 0.1), (101, 0.1)]
    for job in step.jobs:
        assert "trainer.max_steps=2" not in job.overrides
        assert "evaluations=[precise]" in job.overrides
    assert step.recorded(records) == {"a": {}}
    records |= run(step.jobs, lambda job: 0.5)
    done = design.progress(records)
    assert not done.jobs and not done.remaining
    assert set(done.recorded(records)["a"]) == {100, 101}
    assert len(done.planned) == 8


def test_failed_and_diverged_rates_are_the_worst():
    design = Design(claim(ARMS[:1]), Protocol(BASE, {}, Looks((1,)), (0.01, 0.1)))
    for status, metrics in (("failed", {}), ("diverged", {"val_accuracy": 0.9})):
        first = design.progress({})
        records = run(first.jobs, lambda job: 0.5)
        for job in first.jobs:
            if rate(job) == 0.1:
                records[job.key].status, records[job.key].metrics = status, metrics
        # 0.01 is the best and at the edge: the grid grows downwards.
        assert [rate(job) for job in design.progress(records).jobs] == [0.001]


def test_where_nothing_trains_the_grid_grows_down_and_then_up_to_its_limit():
    design = Design(claim(ARMS[:1]), Protocol(BASE, {}, Looks((1,)), (0.01, 0.1)))
    step = walked(design, lambda job: 0.1, "diverged")
    assert sorted(step.tried["a"][0]) == [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0, 100.0]
    assert len(step.evaluation["a"]) == 1


@pytest.mark.parametrize("evaluations", [(), ("precise",)])
def test_planned_keys_are_those_of_the_records(evaluations, tmp_path):
    arm = Arm("a", ("norm=batchnorm", "norm.ghost_batch=4"), evaluations=evaluations)
    step = Design(claim((arm,)), Protocol(BASE, {}, Looks((1,)))).progress({})
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
    for one in (claim(ARMS[:1]), replace(claim(ARMS[:1]), slug="other", clauses=())):
        keys.append([job.key for job in Design(one, PROTOCOL).progress({}).jobs])
    assert keys[0] == keys[1]


def test_a_trial_is_planned_once_however_often_it_is_asked_for():
    design = Design(claim(ARMS), PROTOCOL)
    assert design.job(ARMS[0], 0.1, 5) is design.job(ARMS[0], 0.1, 5)
