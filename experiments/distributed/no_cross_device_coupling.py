"""LayerNorm, GroupNorm and RMSNorm need no statistics from other devices.

Said by: "Normalization Deep-Dive". Primary source for the other side: Shoeybi et al. 2019 (Megatron-LM), section 3, who
keep LayerNorm whole on every device because it must see the whole hidden vector. Two ways to divide a network: by
samples, where each gradient is compared with one process's on the joined batch, and by channels of the hidden vector,
where LayerNorm by each worker's own channels is compared with LayerNorm over all, and so is LayerNorm by all-reduced
moments. In float64, by gloo processes.

    normlab run no-cross-device-coupling --profile cpu        1 minute on one core
"""

from dataclasses import replace

from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.rules import exact_within
from normlab.records.verdict import INCONCLUSIVE, REFUTED, SUPPORTED

KINDS = ("layernorm", "groupnorm", "rmsnorm")
ARMS = ("2 workers", "4 workers")


def trial(options, seed):
    """Relative errors: of a network's gradient by kind, and of LayerNorm by `own` and by `shared` moments."""
    from normlab.measure.distributed import in_processes, network_errors, sharded_layernorm

    workers = options["workers"]
    errors = {
        kind: in_processes(network_errors, workers, seed, (kind, {}), (kind, {}), 4)["gradient"]
        for kind in KINDS
    }
    return errors | in_processes(sharded_layernorm, workers, seed)


def all_draws(evidence, name):
    return evidence.table(ARMS, name).ravel()


def by_samples(kind):
    return Part(
        f"samples, {kind}",
        f"{kind} in workers that divide the samples gives the gradient of one process",
        "largest difference of 40 draws within 1e-6 of the largest entry (float64)",
        lambda evidence: exact_within(all_draws(evidence, kind), 1e-6),
    )


def by_channels(evidence):
    """The shared moments are the control: without them right, nothing is shown about those of each part."""
    own, shared = (exact_within(all_draws(evidence, name), 1e-6) for name in ("own", "shared"))
    verdict = own.verdict if own.verdict != REFUTED or shared.verdict == SUPPORTED else INCONCLUSIVE
    return replace(
        own,
        verdict=verdict,
        text=f"{own.text}; with an all-reduce of both moments {shared.effect:.2g}",
    )


CLAIM = Claim(
    slug="no-cross-device-coupling",
    statement="LayerNorm, GroupNorm and RMSNorm need no statistics from other devices.",
    documents=("Normalization Deep-Dive",),
    source="Shoeybi et al. 2019 divide layers by channels, and keep LayerNorm whole on every device.",
    prediction="partly supported: true where devices divide the samples, not where they divide the channels",
    arms=tuple(
        Arm(name, options={"workers": workers}) for name, workers in zip(ARMS, (2, 4), strict=True)
    ),
    protocols={
        "cpu": Protocol(seeds=20, seconds_per_trial=1.5),
        "smoke": Protocol(seeds=1, seconds_per_trial=1.5),
    },
    trial=trial,
    parts=(
        *(by_samples(kind) for kind in KINDS),
        Part(
            "channels",
            "LayerNorm by each worker's own channels is LayerNorm over all of them",
            "largest relative error of 40 draws within 1e-6; refuted only if all-reduced moments are within it",
            by_channels,
        ),
    ),
    caveats=(
        "A division along the sequence leaves these norms alone, as one by samples does; it is not measured.",
        "Bitwise equality is not asked for: sums over workers have another order.",
    ),
    would_change="Nothing numerical: another division of the hidden vector would have to give the same moments.",
)
