"""Folding BatchNorm into the convolutions cuts a CNN's latency by 10 to 30 %.

Said by: "Normalization Deep-Dive", of TensorRT.
Primary source: none gives these numbers; reports reach from nothing (on a GPU) over 7 and 8 % to 17
%.
Measured: latency folded over as given. CIFAR's ResNet-20 and MobileNetV2 on 32x32 images at batches
of 1, 32 and 256: eagerly in either memory format, through torch.compile (which makes one kernel of
BN and what follows; ResNet-20 only), and in ONNX Runtime, by default (it folds by itself: the
reduction has happened before) and without its optimizations. Both sides of a cell have the same
layout, so that nothing but the folding differs. Eager PyTorch in its default layout decides, by
network: runtimes that fold by themselves are scope, and so are channels last and single batches. A
repetition measures every cell anew; a cell whose A/A control stays off does not count.
Cost: normlab run bn-fold-latency --profile full    50 trials, 13 minutes of one core
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.timing import counted, timing_protocols
from normlab.claims.quantity import Quantity
from normlab.claims.rules import Between
from normlab.records.measurement import Measurement

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


def latency(mode: str, network: str, batches: Sequence[int] = BATCHES) -> Quantity:
    """Log (n,) of the ratios of a network, each reading's mean over `batches`; their range
    beside."""

    def cells(evidence: Evidence) -> Values:
        names = [f"ratio_{network}_{batch}" for batch in batches]
        return counted(evidence, mode, names, log=False)

    def read(evidence: Evidence) -> Values:
        return np.asarray(cells(evidence).mean(axis=1))

    def beside(evidence: Evidence) -> str:
        ratios = np.exp(cells(evidence).mean(axis=0))
        return f"{len(ratios)} batches from {ratios.min():.3g} to {ratios.max():.3g}"

    of = ", ".join(map(str, batches))
    words = f"latency of {network} {WORDS[mode]}, folded over as given, mean over batches of {of}"
    return Quantity(words, "times", read, (mode,), beside)


def part(mode: str, network: str, title: str = "", batches: Sequence[int] = BATCHES) -> Part:
    """What folding does to the latency of one way to run a network."""
    of = "" if batches == BATCHES else f", batch of {batches[0]}"
    statement = f"{WORDS[mode]} folding takes 10 to 30 % off the latency of {network}{of}"
    quantity = latency(mode, network, batches)
    # 10 to 30 % off, as a ratio of times.
    name = title or f"{mode}, {network}{of}"
    return Part(name, statement, quantity, Between(0.70, 0.90), stands_for="TensorRT on a GPU")


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
    protocols=timing_protocols(SMALL, FULL, None, 16.0, timeout_s=1200.0),
    trial=trial,
    timed=True,
    clauses=(
        replace(part("channels_first", "resnet20", "ResNet-20"), expected=0.93, noise=0.02),
        replace(part("channels_first", "mobilenet_v2", "MobileNetV2"), expected=0.84, noise=0.03),
    ),
    scope=(
        *(
            part(mode, network)
            for mode, networks in NETWORKS.items()
            for network in networks
            if mode != "channels_first"
        ),
        *(
            part("channels_first", network, batches=(batch,))
            for network in ALL
            for batch in BATCHES
        ),
    ),
    answers=Answers(
        supported="In eager PyTorch on this device a folded ResNet-20 takes "
        "{ResNet-20.effect:.2f} times as long ({ResNet-20.low:.2f} to {ResNet-20.high:.2f}), a "
        "folded MobileNetV2 {MobileNetV2.effect:.2f} times.",
        refuted="In eager PyTorch on this device folding does not take 10 to 30 % off both: a "
        "folded ResNet-20 takes {ResNet-20.effect:.2f} times as long ({ResNet-20.low:.2f} to "
        "{ResNet-20.high:.2f}), a folded MobileNetV2 {MobileNetV2.effect:.2f} times.",
        partly="It depends on the network: in eager PyTorch on this device a folded ResNet-20 "
        "takes {ResNet-20.effect:.2f} times as long ({ResNet-20.low:.2f} to "
        "{ResNet-20.high:.2f}), a folded MobileNetV2 {MobileNetV2.effect:.2f} times "
        "({MobileNetV2.low:.2f} to {MobileNetV2.high:.2f}).",
        inconclusive="In eager PyTorch on this device a folded ResNet-20 takes "
        "{ResNet-20.effect:.2f} times as long ({ResNet-20.low:.2f} to {ResNet-20.high:.2f}), a "
        "folded MobileNetV2 {MobileNetV2.effect:.2f} times: not both are decided.",
    ),
    caveats=(
        "Small images and one core: the larger the convolutions, the less of the time is BN's.",
        "On a CPU only: `normlab bench fold` has cells for a GPU, CUDA graphs among them.",
    ),
    would_change="Another device: on a GPU at a batch of 1 the launches count, and folding halves "
    "their number.",
    metrics={
        "cells": "networks and batches that were timed, count",
    },
)
