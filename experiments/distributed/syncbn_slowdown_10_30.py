"""SyncBatchNorm synchronizes in every layer, which costs 10 to 30 % of training speed.

Said by: "Normalization Deep-Dive". Sources: users' reports, from 25 % (a detector) to 4 times (Horovod, several nodes);
torch's pull request 38246 on 2 and 8 P100. What the layers send is counted anywhere. Times are of processes of one
machine by gloo here, a ResNet-8 on 32x32 images, interleaved with plain BatchNorm. They say nothing of GPUs and of what
lies between them: that part has no data until several GPUs run this (profile gpu; scripts/syncbn_gpus.py takes 2 to 8).

    normlab run syncbn-slowdown-10-30 --profile cpu        7 minutes on 2 calm cores
"""

import math
from itertools import product

from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.evidence import Missing
from normlab.claims.rules import Finding, exact_within, ratio_in_interval
from normlab.records.verdict import INCONCLUSIVE, NO_DATA

BATCHES = (8, 64)  # images a process
ARMS = ("2 processes", "4 processes")
SUBJECTS = {"ours": "step", "messages alone": "messages"}


def trial(options, seed):
    """Per batch: log ratios of a step and of its messages alone to a plain step, null where void; what is sent."""
    from normlab.measure.timing import syncbn
    from normlab.training.processes import run_group

    backend = "nccl" if options["device"] == "cuda" else "gloo"
    metrics = {"void": 0}
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


def sent(evidence):
    """Messages of a layer in a step, forward and backward."""
    return exact_within(abs(evidence.table(ARMS, "per_layer").ravel() - 2), 0.0)


def logs(evidence, name):
    """(n,) means over the cells that are not void in any repetition."""
    import numpy as np

    cells = []
    for arm, key in product(ARMS, [f"log_{name}_{batch}" for batch in BATCHES]):
        values = [record.metrics.get(key) for record in evidence.records[arm].values()]
        if values and None not in values:
            cells.append(evidence.values(arm, key))
    if len(cells) < 2:
        raise Missing("most cells are void: run on a calm machine")
    return np.mean(cells, axis=0)


def on(backend, name, low, high):
    """The rule where the records are of that backend, no data where they are of another."""

    def decide(evidence):
        if not any(
            r.device.startswith(backend)
            for seeds in evidence.records.values()
            for r in seeds.values()
        ):
            return Finding(NO_DATA, None, None, None, "", 0, f"no trial by {backend}")
        try:
            return ratio_in_interval(logs(evidence, name), low, high)
        except Missing as why:  # of this part alone
            return Finding(INCONCLUSIVE, None, None, None, "times", len(evidence.seeds), str(why))

    return decide


TIMES = {"processes": 2, "device": "cpu", "rounds": 8, "seconds": 0.05, "attempts": 2}
CLAIM = Claim(
    slug="syncbn-slowdown-10-30",
    statement="SyncBatchNorm exchanges statistics in every layer, which costs 10 to 30 % of training speed.",
    documents=("Normalization Deep-Dive",),
    source="Reports between 0 and 300 %; torch's pull request 38246: 32 to 70 % on 8 P100, before and after it.",
    prediction="supported for the messages; inconclusive for the range, which holds for some networks and machines",
    arms=tuple(Arm(name, options={"processes": int(name[0])}) for name in ARMS),
    protocols={
        "smoke": Protocol(options={**TIMES, "batches": (2,), "rounds": 2, "seconds": 1e-6, "attempts": 1}, seeds=1),
        **{name: Protocol(options={**TIMES, "device": device}, seeds=10, seconds_per_trial=20.0, timeout_s=1800.0)
           for name, device in (("cpu", "cpu"), ("gpu", "cuda"))},
    },
    trial=trial,
    timed=True,
    parts=(
        Part("messages", "a layer sends one message forward and one backward",
             "2 a step and layer, no more, in all of 20 trials", sent),
        Part("gloo, step", "on a CPU by gloo, a training step takes 1.1 to 1.3 times a plain one",
             "ratio, mean over cells: supported inside 1.1 to 1.3, refuted outside", on("gloo", "step", 1.1, 1.3)),
        Part("gloo, messages", "on a CPU by gloo, the messages alone take 10 to 30 % of a plain step",
             "ratio, mean over cells: supported inside 0.1 to 0.3, refuted outside", on("gloo", "messages", 0.1, 0.3)),
        Part("several GPUs", "between GPUs by NCCL, a training step takes 1.1 to 1.3 times a plain one",
             "ratio, mean over cells: supported inside 1.1 to 1.3, refuted outside", on("nccl", "step", 1.1, 1.3)),
    ),
    caveats=("Four processes share two cores here; message times between machines are of another order.",),
    would_change="Several GPUs: the part that the documents mean.",
)  # fmt: skip
