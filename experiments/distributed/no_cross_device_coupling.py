"""LayerNorm, GroupNorm and RMSNorm need no statistics from other devices.

Said by: "Normalization Deep-Dive".
Primary source: for the other side, Shoeybi et al. 2019 (Megatron-LM), section 3, who keep LayerNorm
whole on every device because it must see the whole hidden vector.
Measured: two ways to divide a network: by samples, where each gradient is compared with one
process's on the joined batch, and by channels of the hidden vector, where LayerNorm by each
worker's own channels is compared with LayerNorm over all, and so is LayerNorm by all-reduced
moments. In float64, by gloo processes.
Cost: normlab run no-cross-device-coupling --profile full    40 trials, a minute of one core
"""

from typing import Any

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import Quantity, every
from normlab.claims.rules import ControlledExact, Exact

KINDS = ("layernorm", "groupnorm", "rmsnorm")
ARMS = ("2 workers", "4 workers")
TOLERANCE = 1e-6


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Relative errors: of a network's gradient by kind, and of LayerNorm by channels.

    There by moments of a worker's `own` channels and by `shared` ones.
    """
    from normlab.measure.distributed import in_processes, network_errors, sharded_layernorm

    workers = options["workers"]
    errors: dict[str, Any] = {}
    for kind in KINDS:
        norm: tuple[str, dict[str, int]] = (kind, {})
        # The same norm on both sides: only the division of the samples differs.
        errors[kind] = in_processes(network_errors, workers, seed, norm, norm, 4)["gradient"]
    return {**errors, **in_processes(sharded_layernorm, workers, seed)}


def by_samples(kind: str) -> Part:
    words = f"largest difference of the gradient with {kind}, over the largest entry, in float64"
    return Part(
        f"samples, {kind}",
        f"{kind} in workers that divide the samples gives the gradient of one process",
        every(ARMS, [kind], words=words),
        Exact(TOLERANCE),
    )


def own_and_shared(evidence: Evidence) -> Values:
    """(n x arms, 2): the shared moments are the control.

    Without them right, nothing is shown about those of each worker.
    """
    columns = [evidence.table(ARMS, name).ravel() for name in ("own", "shared")]
    return np.stack(columns, axis=1)


CLAIM = Claim(
    slug="no-cross-device-coupling",
    statement="LayerNorm, GroupNorm and RMSNorm need no statistics from other devices.",
    documents=("Normalization Deep-Dive",),
    source="Shoeybi et al. 2019 divide layers by channels, and keep LayerNorm whole on every "
    "device.",
    prediction="partly supported: true where devices divide the samples, not where they divide the "
    "channels",
    arms=tuple(
        Arm(name, options={"workers": workers}) for name, workers in zip(ARMS, (2, 4), strict=True)
    ),
    protocols=direct_protocols(20, 1.5),
    trial=trial,
    clauses=(
        Part(
            "samples",
            "workers that divide the samples have the gradient of one process, with each of the "
            "three norms",
            every(
                ARMS,
                KINDS,
                words="largest difference of the gradient, over the largest entry, in float64",
            ),
            Exact(TOLERANCE),
        ),
    ),
    scope=(
        *(by_samples(kind) for kind in KINDS),
        Part(
            "channels",
            "LayerNorm by each worker's own channels is LayerNorm over all of them",
            Quantity(
                "largest relative error by a worker's own moments, with all-reduced ones as the "
                "control",
                "largest error",
                own_and_shared,
                ARMS,
            ),
            ControlledExact(TOLERANCE),
        ),
    ),
    answers=Answers(
        supported="Where workers divide the samples, LayerNorm, GroupNorm and RMSNorm need "
        "nothing from each other: gradients equal one process's to {samples.effect:.0e}; where "
        "they divide the channels, LayerNorm by a worker's own is off by {channels.effect:.0%}.",
        refuted="Where workers divide the samples, gradients are off one process's by "
        "{samples.effect:.1e}.",
    ),
    caveats=(
        "A division along the sequence leaves these norms alone, as one by samples does; it is not "
        "measured.",
        "Bitwise equality is not asked for: sums over workers have another order.",
    ),
    would_change="Nothing numerical: another division of the hidden vector would have to give the "
    "same moments.",
    first_seed=0,
    metrics={
        **{
            kind: f"gradient of workers with {kind} against one process's, relative error"
            for kind in KINDS
        },
        "own": "LayerNorm by each worker's own channels, relative error",
        "shared": "LayerNorm by all-reduced moments, relative error",
    },
)
