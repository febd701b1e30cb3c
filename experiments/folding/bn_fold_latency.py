"""Folding BatchNorm into the convolutions cuts a CNN's latency by 10 to 30 %.

Said by: "Normalization Deep-Dive", of TensorRT.
Primary source: none gives these numbers; reports reach from nothing (on a GPU) over 7 and 8 % to
17 %.
Measured: latency folded over as given. CIFAR's ResNet-20 and MobileNetV2 on 32x32 images at batches
of 1, 32 and 256: eagerly in either memory format, through torch.compile (which makes one kernel of
BN and what follows; ResNet-20 only), and in ONNX Runtime, by default (it folds by itself: the
reduction has happened before) and without its optimizations. Both sides of a cell have the same
layout, so that nothing but the folding differs. The rule of the catalogue for each way to run, with
the median over networks and batches: 10 to 30 % supported, 5 to 40 % partly, less than 5 % refuted.
A repetition measures every cell anew; a cell whose A/A control stays off does not count, and a
repetition of a way needs more than half of its cells.
Cost: normlab run bn-fold-latency --workers 1    about 8 minutes on one core of a calm machine
"""

import numpy as np

from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.evidence import Missing
from normlab.claims.quantity import Quantity
from normlab.claims.rules import Between
from normlab.records.measurement import Measurement
from normlab.records.record import Record

BATCHES = (1, 32, 256)
ALL = ("resnet20", "mobilenet_v2")
NETWORKS = {
    "channels_first": ALL,
    "channels_last": ALL,
    "compiled": ("resnet20",),
    "onnxruntime": ALL,
    "onnxruntime, as given": ALL,
}
WORDS = {
    "channels_first": "eagerly",
    "channels_last": "eagerly in channels_last",
    "compiled": "through torch.compile",
    "onnxruntime": "in ONNX Runtime",
    "onnxruntime, as given": "in ONNX Runtime without its own optimizations",
}


def trial(options: Options, seed: int) -> Measurement:
    """Latency folded over as given, by network and batch; `void` counts cells without a valid
    control."""
    from normlab.measure.timing.conditions import device_name, timing_conditions
    from normlab.measure.timing.fold import measure, missing

    mode = options["mode"]
    # ONNX Runtime, or a compiler: the trial fails and says what is missing.
    reason = missing(mode)
    if reason:
        raise RuntimeError(reason)
    how = {"quick": options["quick"], "backend": options["backend"]}
    metrics: dict[str, float] = {"cells": 0, "void": 0}
    with timing_conditions():
        for network in NETWORKS[mode][: options["networks"]]:
            for batch in BATCHES[: options["batches"]]:
                found = measure(network, batch, mode, **how)
                metrics["cells"] += 1
                metrics["void"] += not found.valid
                if found.valid:
                    metrics[f"ratio_{network}_{batch}"] = found.ratio
                    metrics[f"us_{network}_{batch}"] = found.subject_s * 1e6
    return Measurement(metrics, device=device_name("cpu"))


def median(record: Record) -> float:
    """Log of the median ratio over the cells that count."""
    named = {name: value for name, value in record.metrics.items() if name.startswith("ratio_")}
    ratios = [value for value in named.values() if value is not None]
    # A median over fewer than half of the cells would be one of those that happened to be calm.
    if 2 * len(ratios) <= (record.metrics["cells"] or 0):
        raise Missing(
            f"{record.arm}, repetition {record.seed}: {len(ratios)} cells count; "
            "renew it on a calm machine"
        )
    return float(np.log(np.median(ratios)))


def part(mode: str) -> Part:
    """What folding does to the latency of one way to run a network."""
    quantity = Quantity(
        "latency folded over as given, median over networks and batches",
        "times",
        lambda evidence: evidence.compute(mode, "median", median),
    )
    statement = f"{WORDS[mode]} folding takes 10 to 30 % off the latency"
    # 10 to 30 % off, partly 5 to 40 %, as ratios of times.
    return Part(mode, statement, quantity, Between(0.70, 0.90, (0.60, 0.95)))


FULL = {"networks": 2, "batches": 3, "quick": True, "backend": "inductor"}
SMALL = {"networks": 1, "batches": 1, "quick": True, "backend": "eager"}

CLAIM = Claim(
    slug="bn-fold-latency",
    statement="Folding BatchNorm into the convolutions cuts a CNN's latency by 10 to 30 %.",
    documents=("Normalization Deep-Dive",),
    source="No primary source has 10 to 30 %; users report 0 to 17 %.",
    prediction="partly supported: 10 to 30 % eagerly at a batch of 1, less compiled, nothing in "
    "ONNX Runtime",
    arms=tuple(Arm(mode, options={"mode": mode}) for mode in NETWORKS),
    protocols={
        "cpu": Protocol(seeds=5, options=FULL, seconds_per_trial=16.0, timeout_s=1200.0),
        "smoke": Protocol(seeds=1, options=SMALL),
    },
    trial=trial,
    timed=True,
    parts=tuple(part(mode) for mode in NETWORKS),
    caveats=(
        "Small images and one core: the larger the convolutions, the less of the time is BN's.",
        "cpu profile only: `normlab bench fold` has cells for a GPU, CUDA graphs among them.",
    ),
    would_change="Another device: on a GPU at a batch of 1 the launches count, and folding halves "
    "their number.",
)
