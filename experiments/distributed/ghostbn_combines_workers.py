"""Ghost BatchNorm combines workers' small batches into a large one, and needs communication for it.

Said by: "How BN, IN and LN differ". Primary source: Hoffer, Hubara & Soudry 2017, who split a large batch into small
ghost batches, each with statistics of its own, against the generalization gap of large batches: the reverse.
Measured in float64 on the plain CNN: K workers with BatchNorm of their own, who only average gradients, against ghost
batches of the same samples in one process, and both against statistics of all samples.

    normlab run ghostbn-combines-workers --profile cpu        2 seconds on one core
"""

from dataclasses import replace

from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.rules import Finding, exact_within
from normlab.records.verdict import REFUTED, SUPPORTED


def trial(options, seed):
    """Largest difference between gradients, in units of the largest gradient entry: ghost batches against workers with
    statistics of their own (`own_error`) and against statistics of the whole batch (`shared_error`)."""
    import torch
    import torch.nn.functional as F

    from normlab.config.schema import compose
    from normlab.models import build_model

    workers, samples = options["workers"], 8
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(workers * samples, 3, 16, 16, generator=generator).double()
    y = torch.randint(10, (len(x),), generator=generator)

    def gradient(ghost, parts):
        norm = ["norm=batchnorm", *([f"norm.ghost_batch={ghost}"] if ghost else [])]
        model = (
            build_model(compose([*norm, f"seed={seed}"]), "image", (3, 16, 16), 10).double().train()
        )
        for part in torch.arange(len(x)).chunk(parts):
            (F.cross_entropy(model(x[part]), y[part]) / parts).backward()
        return torch.cat([p.grad.flatten() for p in model.parameters()])

    ghost, own, shared = gradient(samples, 1), gradient(None, workers), gradient(None, 1)
    size = ghost.abs().max()
    return {
        "own_error": float((ghost - own).abs().max() / size),
        "shared_error": float((ghost - shared).abs().max() / size),
    }


def described(evidence):
    text = (
        "Hoffer et al. 2017 split a large batch into small ghost batches with statistics of their own, to close the "
        "generalization gap of large-batch training; nothing is combined"
    )
    return Finding(REFUTED, None, None, None, "", 0, text)


def all_errors(evidence, metric):
    import numpy as np

    return np.concatenate(
        [evidence.values(arm, metric) for arm in ("2 workers", "4 workers", "8 workers")]
    )


def communication(evidence):
    """Refuted where the workers' statistics stay where they are and the result is the same."""
    same = exact_within(all_errors(evidence, "own_error"), 1e-10)
    verdict = {SUPPORTED: REFUTED, REFUTED: SUPPORTED}.get(same.verdict, same.verdict)
    text = f"against workers that exchange no statistics {same.text.split(';')[0]}; refuted if all are within 1e-10"
    return replace(same, verdict=verdict, text=text)


CLAIM = Claim(
    slug="ghostbn-combines-workers",
    statement="Ghost BatchNorm forms a large batch out of workers' small ones, by communication between them.",
    documents=("How BN, IN and LN differ",),
    source="Hoffer et al. 2017 do the reverse: small ghost batches out of a large one, each with its own statistics.",
    prediction="refuted: the definition is the reverse, and workers that exchange no statistics give the same gradient",
    arms=tuple(Arm(f"{workers} workers", options={"workers": workers}) for workers in (2, 4, 8)),
    protocols={
        "cpu": Protocol(seeds=20, seconds_per_trial=0.1),
        "smoke": Protocol(seeds=2, seconds_per_trial=0.1),
    },
    trial=trial,
    parts=(
        Part(
            "definition",
            "it combines small batches into a large one",
            "what the source that introduces it states; no measurement",
            described,
        ),
        Part(
            "large batch",
            "it gives the gradient of the large batch's statistics",
            "largest difference of 60 draws within 1e-10 of the largest entry",
            lambda evidence: exact_within(all_errors(evidence, "shared_error"), 1e-10),
        ),
        Part(
            "communication",
            "it needs communication of statistics between workers",
            "refuted if K workers that only average gradients give its gradient within 1e-10 in 60 draws",
            communication,
        ),
    ),
    caveats=(
        "Workers are simulated one after the other in one process; the run in several processes is syncbn's affair.",
        "Whether ghost batches improve large-batch training is another claim and not decided here.",
    ),
    would_change="Nothing numerical: the description would have to be of another technique.",
)
