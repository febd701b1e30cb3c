"""SyncBatchNorm synchronizes in every layer, which costs 10 to 30 % of training speed.

Said by: "Normalization Deep-Dive".
Primary source: users' reports, from 25 % (a detector) to 4 times (Horovod, several nodes); torch's
pull request 38246 on 2 and 8 P100.
Measured: what the layers send, which is counted anywhere, and times of processes of one machine by
gloo, a ResNet-8 on 32x32 images, interleaved with plain BatchNorm. They say nothing of GPUs and of
what lies between them: that part is open until several GPUs run this (profile gpu;
scripts/syncbn_gpus.py takes 2 to 8).
Cost: normlab run syncbn-slowdown-10-30 --profile full    20 trials, 7 minutes of one core
"""

import math
from typing import Any

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.evidence import Evidence, PartMissing, Values
from normlab.claims.protocols.timing import counted, timing_protocols
from normlab.claims.quantity import Quantity
from normlab.claims.rules import Between, Exact
from normlab.records.measurement import Measurement

BATCHES = (8, 64)  # images a process
ARMS = {"2 processes": 2, "4 processes": 4}
SUBJECTS = {"syncbatchnorm, ours": "step", "messages alone": "messages"}
MESSAGES = 2  # of a layer in a step: one forward, one backward


def trial(options: Options, seed: int) -> Measurement:
    """Per batch: log ratios of a step and of its messages alone to a plain step, and what is sent.

    A ratio is null where void.
    """
    from normlab.measure.timing import syncbn
    from normlab.training.processes import run_group

    backend = "nccl" if options["device"] == "cuda" else "gloo"
    timing = options["rounds"], options["seconds"], ("ours",), options["attempts"]
    metrics: dict[str, Any] = {"void": 0}
    for batch in options.get("batches", BATCHES):
        rows = run_group(
            syncbn.measure_rows,
            options["processes"],
            *(batch, options["device"], *timing),
            backend=backend,
            wait_s=120.0,
            preload=(syncbn.__name__,),
        )[0]
        for row in rows:
            name = SUBJECTS[row["subject"]]
            # NaN is null in a record.
            metrics[f"log_{name}_{batch}"] = math.nan if row["void"] else math.log(row["ratio"])
            metrics[f"control_{name}_{batch}"] = row["control"]
            metrics[f"us_{name}_{batch}"] = row["subject_us"]
            metrics[f"us_plain_{batch}"] = row["baseline_us"]
            metrics["void"] += row["void"]
        metrics["bytes"] = rows[0]["bytes"]
        metrics["per_layer"] = rows[0]["collectives"] / syncbn.LAYERS
    return Measurement(metrics, device=f"{backend}, {rows[0]['device']}")


def sent(evidence: Evidence) -> Values:
    """(n x arms,): how far the messages of a layer in a step are from one each way."""
    return abs(evidence.table(tuple(ARMS), "per_layer").ravel() - MESSAGES)


def ratio(backend: str, name: str, words: str) -> Quantity:
    """Log (n,) of a ratio to a plain step, where the records are of that backend.

    The mean over the cells.
    """

    def read(evidence: Evidence) -> Values:
        if not is_by(backend, evidence):
            raise PartMissing(f"no trial by {backend}: several GPUs are needed")
        names = [f"log_{name}_{batch}" for batch in BATCHES]
        # Both arms together: the mean over their cells.
        both = np.concatenate([counted(evidence, arm, names) for arm in ARMS], axis=1)
        return np.asarray(both.mean(axis=1))

    return Quantity(
        f"time of {words} by {backend} over a plain step, mean over cells",
        "times",
        read,
        tuple(ARMS),
    )


def is_by(backend: str, evidence: Evidence) -> bool:
    records = [record for by_seed in evidence.records.values() for record in by_seed.values()]
    return any(record.device.startswith(backend) for record in records)


TIMES = {"processes": 2, "device": "cpu", "rounds": 8, "seconds": 0.05, "attempts": 2}
QUICK = {**TIMES, "batches": (2,), "rounds": 2, "seconds": 1e-6, "attempts": 1}


CLAIM = Claim(
    slug="syncbn-slowdown-10-30",
    statement="SyncBatchNorm exchanges statistics in every layer, which costs 10 to 30 % of "
    "training speed.",
    documents=("Normalization Deep-Dive",),
    source="Reports between 0 and 300 %; torch's pull request 38246: from 2 to 8 P100 a step takes "
    "50 to 70 % longer before it and 28 to 40 % after, with no plain BN beside.",
    prediction="supported for the messages; inconclusive for the range, which holds for some "
    "networks and machines",
    arms=tuple(Arm(name, options={"processes": count}) for name, count in ARMS.items()),
    protocols=timing_protocols(QUICK, TIMES, {**TIMES, "device": "cuda"}, 20.0),
    trial=trial,
    timed=True,
    clauses=(
        Part(
            "messages",
            "a layer sends one message forward and one backward",
            Quantity(
                f"messages of a layer in a step, their distance from {MESSAGES}",
                "largest error",
                sent,
                tuple(ARMS),
            ),
            Exact(0.0),
        ),
        Part(
            "several GPUs",
            "between GPUs by NCCL, a training step takes 1.1 to 1.3 times a plain one",
            ratio("nccl", "step", "a training step"),
            Between(1.1, 1.3),
        ),
    ),
    scope=(
        Part(
            "gloo, step",
            "on a CPU by gloo, a training step takes 1.1 to 1.3 times a plain one",
            ratio("gloo", "step", "a training step"),
            Between(1.1, 1.3),
            stands_for="many GPUs",
        ),
        Part(
            "gloo, messages",
            "on a CPU by gloo, the messages alone take 10 to 30 % of a plain step",
            ratio("gloo", "messages", "the messages alone"),
            Between(0.1, 0.3),
            stands_for="many GPUs",
        ),
    ),
    answers=Answers(
        supported="SyncBatchNorm exchanges statistics in every layer, and between GPUs a step "
        "takes {several GPUs.effect:.2f} times a plain one ({several GPUs.low:.2f} to "
        "{several GPUs.high:.2f}).",
        refuted="SyncBatchNorm's cost is not 10 to 30 %: between GPUs a step takes "
        "{several GPUs.effect:.2f} times a plain one.",
        partly="SyncBatchNorm exchanges statistics in every layer, but between GPUs a step takes "
        "{several GPUs.effect:.2f} times a plain one ({several GPUs.low:.2f} to "
        "{several GPUs.high:.2f}): not 1.1 to 1.3.",
        inconclusive="SyncBatchNorm exchanges statistics in every layer; what that costs between "
        "GPUs is open, and by gloo on a CPU says little of it.",
    ),
    caveats=(
        "Four processes share two cores here; message times between machines are of another order.",
    ),
    would_change="Several GPUs: the part that the documents mean.",
    metrics={
        "per_layer": "messages of a layer in a training step, count",
    },
)
