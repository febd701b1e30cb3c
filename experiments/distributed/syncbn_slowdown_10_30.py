"""SyncBatchNorm synchronizes in every layer, which costs 10 to 30 % of training speed.

Said by: "Normalization Deep-Dive".
Primary source: users' reports, from 25 % (a detector) to 4 times (Horovod, several nodes); torch's
pull request 38246 on 2 and 8 P100.
Measured: what the layers send, which is counted anywhere, and times of processes of one machine by
gloo: a ResNet-8 on 32x32 images, interleaved with plain BatchNorm. They say nothing of GPUs and of
what lies between them: that part has no data until several GPUs run this (profile gpu;
scripts/syncbn_gpus.py takes 2 to 8).
Cost: normlab run syncbn-slowdown-10-30 --profile cpu    7 minutes on 2 calm cores
"""

import math
from itertools import product
from typing import Any

import numpy as np

from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.evidence import Evidence, PartMissing, PartWithoutData, Values
from normlab.claims.quantity import Quantity
from normlab.claims.rules import Between, Exact

BATCHES = (8, 64)  # images a process
ARMS = ("2 processes", "4 processes")
SUBJECTS = {"ours": "step", "messages alone": "messages"}


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Per batch: log ratios of a step and of its messages alone to a plain step, null where void;
    what is sent."""
    from normlab.measure.timing import syncbn
    from normlab.training.processes import run_group

    backend = "nccl" if options["device"] == "cuda" else "gloo"
    metrics: dict[str, Any] = {"void": 0}
    for batch in options.get("batches", BATCHES):
        arguments = (
            batch,
            options["device"],
            options["rounds"],
            options["seconds"],
            ("ours",),
            options["attempts"],
        )
        group = {"backend": backend, "wait_s": 120.0, "preload": (syncbn.__name__,)}
        rows = run_group(syncbn.measure_rows, options["processes"], *arguments, **group)[0]
        for row in rows:
            name = SUBJECTS[row["subject"].removeprefix("syncbatchnorm, ")]
            metrics[f"log_{name}_{batch}"] = math.nan if row["void"] else math.log(row["ratio"])
            metrics[f"control_{name}_{batch}"] = row["control"]
            metrics[f"us_{name}_{batch}"], metrics[f"us_plain_{batch}"] = (
                row["subject_us"],
                row["baseline_us"],
            )
            metrics["void"] += row["void"]
        metrics["bytes"], metrics["per_layer"] = (
            rows[0]["bytes"],
            rows[0]["collectives"] / syncbn.LAYERS,
        )
    return {**metrics, "device": f"{backend}, {rows[0]['device']}"}


def extra_messages(evidence: Evidence) -> Values:
    """Messages of a layer in a step, forward and backward, off two: of every trial."""
    return np.abs(evidence.table(ARMS, "per_layer").ravel() - 2)


def log_ratios(evidence: Evidence, name: str) -> Values:
    """(n,) means over the cells that are not void in any repetition."""
    cells = []
    for arm, key in product(ARMS, [f"log_{name}_{batch}" for batch in BATCHES]):
        values = [record.metrics.get(key) for record in evidence.records[arm].values()]
        if values and None not in values:
            cells.append(evidence.values(arm, key))
    if len(cells) < 2:
        raise PartMissing("most cells are void: run on a calm machine")
    return np.mean(cells, axis=0)


def has_trial_by(backend: str, evidence: Evidence) -> bool:
    """Whether any process group of the evidence was one of `backend`."""
    records = [record for by_seed in evidence.records.values() for record in by_seed.values()]
    return any(record.device.startswith(backend) for record in records)


def timed_part(
    name: str, statement: str, backend: str, metric: str, low: float, high: float
) -> Part:
    """Ratios of times where the records are of that backend; no data where they are of another."""

    def read(evidence: Evidence) -> Values:
        if not has_trial_by(backend, evidence):
            raise PartWithoutData(f"no trial by {backend}")
        return log_ratios(evidence, metric)

    words = f"time of a {metric} by {backend} over a plain step, mean over cells"
    return Part(name, statement, Quantity(words, "times", read), Between(low, high))


TIMES = {"processes": 2, "device": "cpu", "rounds": 8, "seconds": 0.05, "attempts": 2}
QUICK = {**TIMES, "batches": (2,), "rounds": 2, "seconds": 1e-6, "attempts": 1}


def protocol(device: str) -> Protocol:
    """Ten repetitions on `device`."""
    options = {**TIMES, "device": device}
    return Protocol(options=options, seeds=10, seconds_per_trial=20.0, timeout_s=1800.0)


CLAIM = Claim(
    slug="syncbn-slowdown-10-30",
    statement="SyncBatchNorm exchanges statistics in every layer, which costs 10 to 30 % of "
    "training speed.",
    documents=("Normalization Deep-Dive",),
    source="Reports between 0 and 300 %; torch's pull request 38246: 32 to 70 % on 8 P100, before "
    "and after it.",
    prediction="supported for the messages; inconclusive for the range, which holds for some "
    "networks and machines",
    arms=tuple(Arm(name, options={"processes": int(name[0])}) for name in ARMS),
    protocols={
        "smoke": Protocol(options=QUICK, seeds=1),
        "cpu": protocol("cpu"),
        "gpu": protocol("cuda"),
    },
    trial=trial,
    timed=True,
    parts=(
        Part(
            "messages",
            "a layer sends one message forward and one backward",
            Quantity("messages of a step and layer, off two", "largest error", extra_messages),
            Exact(0.0),
        ),
        timed_part(
            "gloo, step",
            "on a CPU by gloo, a training step takes 1.1 to 1.3 times a plain one",
            "gloo",
            "step",
            1.1,
            1.3,
        ),
        timed_part(
            "gloo, messages",
            "on a CPU by gloo, the messages alone take 10 to 30 % of a plain step",
            "gloo",
            "messages",
            0.1,
            0.3,
        ),
        timed_part(
            "several GPUs",
            "between GPUs by NCCL, a training step takes 1.1 to 1.3 times a plain one",
            "nccl",
            "step",
            1.1,
            1.3,
        ),
    ),
    caveats=(
        "Four processes share two cores here; message times between machines are of another order.",
    ),
    would_change="Several GPUs: the part that the documents mean.",
)
