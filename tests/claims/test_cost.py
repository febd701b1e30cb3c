"""What is left of a plan costs what its own trials took, and is counted before all is known."""

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.cost import seconds_left
from normlab.claims.design import Design
from normlab.claims.looks import Looks
from normlab.claims.quantity import value
from normlab.claims.registry import load_claim
from normlab.claims.rules import AtLeast
from normlab.claims.run.runner import designs
from normlab.records.record import Record


def test_a_plan_is_expected_to_cost_what_its_own_trials_did(toy):
    claim = load_claim("toy", toy(seeds=2))
    protocol = claim.protocols["quick"]
    other = Protocol(looks=Looks((2,)), options={"seconds": 9.0, "folder": ""})
    known = {}
    for planned, seconds in ((protocol, 2.0), (other, 100.0)):
        for job in Design(claim, planned).progress({}).jobs:
            known[job.key] = Record(job.key, {}, claim="toy", status="ok", duration_s=seconds)
    progress = Design(claim, protocol).progress(known)
    more = Design(claim, protocol).progress(known, 3)
    left = more.remaining
    assert left == 2
    assert seconds_left(protocol, more, known) == left * 2.0
    assert seconds_left(protocol, progress, known) == 0
    assert seconds_left(protocol, more, {}) == left * protocol.seconds_per_trial


def test_trials_of_a_choice_cost_what_they_took_and_the_full_one_is_counted_before_it_is_known():
    protocol = Protocol(
        ("data=digits", "trainer.max_steps=8"),
        looks=Looks((2,)),
        learning_rates=(0.01, 0.1, 1.0),
        choice=("trainer.max_steps=2",),
        seconds_per_trial=10.0,
        seconds_per_choice=3.0,
    )
    arm = Arm("a", ("norm=groupnorm",))
    parts = (Part("p", "s", value("a"), AtLeast(1.0)),)
    claim = Claim("c", "s", ("d",), "s", "p", parts, Answers("yes", "no"), arms=(arm,))
    design = Design(claim, protocol)
    progress = design.progress({})
    assert (progress.remaining, progress.remaining_choices) == (8, 6)
    assert seconds_left(protocol, progress, {}) == 6 * 3.0 + 2 * 10.0
    known = {}
    for job in progress.jobs[:3]:  # those of the first seed; the middle rate is the best
        best = "optim.lr=0.1" in job.overrides
        metrics = {"val_accuracy": float(best)}
        known[job.key] = Record(job.key, {}, status="ok", duration_s=5.0, metrics=metrics)
    progress = design.progress(known)
    assert (progress.remaining, progress.remaining_choices) == (5, 3)
    assert seconds_left(protocol, progress, known) == 3 * 5.0 + 2 * 10.0


def test_the_cheapest_claim_runs_first_and_what_measures_time_last(toy):
    from dataclasses import replace

    claim = load_claim("toy", toy(seeds=2))
    protocol = claim.protocols["quick"]
    dear = replace(claim, slug="dear", protocols={"quick": replace(protocol, seconds_per_trial=9)})
    timed = replace(claim, slug="timed", timed=True)
    order = [design.claim.slug for design in designs((timed, dear, claim), "quick", None)]
    assert order == ["toy", "dear", "timed"]
