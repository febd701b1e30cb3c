"""TensorBoard's scalars are enough to see that a training becomes unstable.

Said by: "BatchNorm vs LayerNorm".
Primary source: none. TensorBoard draws what it is given; it says nothing of what that shows.
Measured: trainings of a network without norms that are made to diverge by a script after 200 calm
steps; loss and length of the gradient of each step, written by torch's SummaryWriter and read back
from the event files. Seen is a value above 3 times the largest of the last 100 calm steps. By the
catalogue's rule it must be seen 50 steps before the loss is not finite, here in most runs. Two
scripts decide: the rate grows slowly, by 1 % a step, and one batch is spoiled (images 10,000 times
as large, under labels of others). Only runs that diverge count: the loss is not finite, or above
100 times the trivial one at the end; for the latter it is the steps to the last one, fewer than
there would be.
Beside them a faster growth, a thousandfold rate, fewer logged steps, and a calm training, for false
alarms. Pilot, which shaped the scripts, at seed 1001: 6 steps after a spoiled batch; at 2 % a step
of a fitted network also 6; where a fifth of the labels is guessed, as here, 543 to the explosion.
A second one, at seeds 1001 to 1020: all of 20 spoiled runs diverge, 3 to 6 steps after it is seen.
Cost: normlab run tensorboard-monitoring --profile full    100 trials, 2 minutes of one core
"""

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.evidence import Evidence, PartMissing, Values
from normlab.claims.looks import Looks
from normlab.claims.quantity import Quantity, value
from normlab.claims.rules import AtLeast, Rate
from normlab.records.measurement import Measurement

STEPS = 50.0
RATE = 0.05  # in the calm steps
SCRIPTS = {
    "slow": "a rate that grows by 1 % a step",
    "fast": "a rate that grows by 5 % a step",
    "jump": "a rate a thousandfold from one step to the next",
    "spoiled": "one spoiled batch",
    "none": "a training that goes on as it was",
}


def trial(options: Options, seed: int) -> Measurement:
    """Steps between what is seen in either scalar and the first loss that is not finite."""
    from normlab.measure.monitored import warning

    metrics, setup = warning("none", options["script"], RATE, options["steps"], seed)
    return Measurement(metrics, setup.source)


def lead(
    script: str,
    metric: str,
    by: str,
    to: str = "a loss that is not finite, or to the end of the run",
) -> Quantity:
    """Steps, of the runs that diverge: one that recovers has nothing to be warned of."""

    def read(evidence: Evidence) -> Values:
        diverged = evidence.values(script, "diverged") > 0
        if not diverged.any():
            raise PartMissing("no run diverges")
        steps: Values = np.asarray(evidence.values(script, metric)[diverged])
        return steps

    words = f"steps from what is seen in {by} to {to}, {SCRIPTS[script]}"
    return Quantity(words, "steps", read, (script,))


def warned(
    name: str, script: str, statement: str, metric: str = "lead", by: str = "loss or gradient norm"
) -> Part:
    return Part(name, statement, lead(script, metric, by), AtLeast(STEPS))


def mostly(script: str, statement: str) -> Part:
    """Whether most runs that diverge show it `STEPS` before.

    A share, since a lead is cut off at the end of the run: if some runs end within a few steps and
    some not at all, the mean of their leads is that of none.
    """
    steps = lead(script, "lead", "loss or gradient norm")

    def read(evidence: Evidence) -> Values:
        early: Values = (np.asarray(steps.read(evidence)) >= STEPS).astype(float)
        return early

    words = (
        "share of runs with 50 steps or more from what is seen in loss or gradient norm to a loss "
        f"that is not finite, or to the end of the run, {SCRIPTS[script]}"
    )
    share = Quantity(words, "of the runs that diverge", read, (script,))
    return Part(script, statement, share, Rate(0.5))


NUMBERS = (
    "if the rate grows by 1 % a step, loss or gradient norm show it 50 steps or more before the "
    "loss is not finite or the run is over in {slow.effect:.0%} ({slow.low:.0%} to "
    "{slow.high:.0%}) of the runs that diverge, on average {slow steps.effect:.0f} steps before, "
    "and {explosion.effect:.0f} before it is above 100 times the trivial one; after a spoiled "
    "batch they do in {spoiled.effect:.0%} ({spoiled.low:.0%} to {spoiled.high:.0%}), on average "
    "{spoiled steps.effect:.0f} steps before; calm trainings give a false alarm in "
    "{false alarms.effect:.0%} of runs"
)

CLAIM = Claim(
    slug="tensorboard-monitoring",
    statement="TensorBoard's scalars are enough to see that a training becomes unstable.",
    documents=("BatchNorm vs LayerNorm",),
    source="None: a tool that draws what it is given.",
    prediction="partly supported: slow growth is seen long before, and a spoiled batch is followed "
    "by the end within a few steps",
    arms=tuple(Arm(script, options={"script": script}) for script in SCRIPTS),
    protocols={
        "smoke": Protocol(options={"steps": 230}, looks=Looks((1,)), seconds_per_trial=0.5),
        "quick": Protocol(options={"steps": 1500}, looks=Looks((20,)), seconds_per_trial=1.5),
        "full": Protocol(options={"steps": 1500}, looks=Looks((20,)), seconds_per_trial=1.5),
    },
    trial=trial,
    clauses=(
        mostly(
            "slow",
            "where the rate grows by 1 % a step most runs that diverge show it at least 50 steps "
            "before the loss is not finite",
        ),
        mostly("spoiled", "after one spoiled batch most do"),
    ),
    scope=(
        warned(
            "slow steps",
            "slow",
            "where the rate grows by 1 % a step it is seen on average at least 50 steps before the "
            "loss is not finite",
        ),
        warned(
            "spoiled steps",
            "spoiled",
            "after one spoiled batch it is seen on average at least 50 steps before",
        ),
        warned("fast", "fast", "where the rate grows by 5 % a step it is seen 50 steps before"),
        warned("jump", "jump", "at a thousandfold rate it is seen 50 steps before"),
        warned("loss", "slow", "the loss alone shows the slow growth", "loss_lead", "the loss"),
        warned(
            "gradient norm",
            "slow",
            "the gradient norm alone shows the slow growth",
            "gradient_lead",
            "the gradient norm",
        ),
        warned(
            "every 50 steps",
            "slow",
            "if every 50th step is logged, a default of loggers, the slow growth is seen, too",
            "sparse_lead",
            "every 50th step",
        ),
        Part(
            "explosion",
            "the slow growth is seen 50 steps before the loss is above 100 times the trivial one",
            lead(
                "slow",
                "explosion_lead",
                "loss or gradient norm",
                "a loss above 100 times the trivial one",
            ),
            AtLeast(STEPS),
        ),
        *(
            Part(
                f"diverges, {script}",
                f"with {SCRIPTS[script]} more than half of the runs diverge within 1,500 steps",
                value(
                    script,
                    "diverged",
                    words=f"share of runs that diverge, {SCRIPTS[script]}",
                    unit="of the seeds",
                ),
                Rate(0.5),
            )
            for script in ("slow", "spoiled")
        ),
        Part(
            "spoiled, lost",
            "after a spoiled batch more than half of the runs end without having learnt anything, "
            "diverged or not",
            value(
                "spoiled",
                "lost",
                words="share of runs whose last 50 losses are at 0.9 times the trivial one or "
                "above, one spoiled batch",
                unit="of the seeds",
            ),
            Rate(0.5),
        ),
        Part(
            "false alarms",
            "fewer than a fifth of calm trainings give an alarm",
            value(
                "none",
                "alarm",
                words="share of calm trainings in which a scalar is above the threshold",
                unit="of the seeds",
            ),
            Rate(0.2, above=False),
        ),
    ),
    answers=Answers(
        supported="Enough, and in most runs 50 steps before: " + NUMBERS + ".",
        refuted="Not 50 steps before in most runs: " + NUMBERS + ".",
        partly="In one of two cases most runs show it 50 steps before: " + NUMBERS + ".",
        inconclusive="Whether most runs show it 50 steps before is not decided in both cases: "
        + NUMBERS
        + ".",
    ),
    caveats=(
        "Where an exploded loss stays finite to the last step, what counts is the time from what "
        "is seen to there: with a growing rate a network may die and its loss grow with the rate.",
        "A fifth of the labels are guessed, so that there is always a gradient.",
        "A person sees more than a threshold does, and looks less often.",
        "TensorBoard itself draws 1,000 points a curve by its default; all of them were read here.",
        "A small fully connected network on digits, and SGD: with Adam a training ends otherwise.",
    ),
    would_change="Other scalars: the largest activation, or the ratio of updates to weights.",
    metrics={
        "lead": "warning by either scalar before the loss is not finite, steps",
        "loss_lead": "warning by the loss before it is not finite, steps",
        "gradient_lead": "warning by the gradient norm before the loss is not finite, steps",
        "sparse_lead": "warning by every 50th step before the loss is not finite, steps",
        "explosion_lead": "warning before the loss is 100 times the trivial one, steps",
        "diverged": "training diverges, 1 (yes) or 0 (no)",
        "lost": "last 50 losses at 0.9 times the trivial one or above, 1 (yes) or 0 (no)",
        "alarm": "a scalar gives an alarm, 1 (yes) or 0 (no)",
    },
)
