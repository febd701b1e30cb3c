"""Ghost BatchNorm combines workers' small batches into a large one, and needs communication for it.

Said by: "How BN, IN and LN differ".
Primary source: Hoffer, Hubara & Soudry 2017 (arXiv 1705.08741, abstract), who split a large batch
into small ghost batches, each with statistics of its own, against the generalization gap of large
batches: the reverse.
Measured: gradients in float64 of the plain CNN: K workers with BatchNorm of their own, who only
average gradients, against ghost batches of the same samples in one process, and both against
statistics of all samples.
Cost: normlab run ghostbn-combines-workers --profile full    60 trials, 6 seconds of one core
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import Quantity, every
from normlab.claims.rules import Exact, NotExact, Stated
from normlab.records.verdict import REFUTED

if TYPE_CHECKING:
    from torch import Tensor

WORKERS, SAMPLES = (2, 4, 8), 8
ARMS = tuple(f"{workers} workers" for workers in WORKERS)
TOLERANCE = 1e-10


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Largest difference between gradients, in units of the largest gradient entry.

    Of ghost batches against workers with statistics of their own (`own_error`) and against
    statistics of the whole batch (`shared_error`).
    """
    import torch
    import torch.nn.functional as F

    from normlab.config.compose import compose
    from normlab.models import build_model

    workers = options["workers"]
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(workers * SAMPLES, 3, 16, 16, generator=generator).double()
    y = torch.randint(10, (len(x),), generator=generator)

    def gradient(ghost: int | None, parts: int) -> "Tensor":
        norm = ["norm=batchnorm", *([f"norm.ghost_batch={ghost}"] if ghost else [])]
        cfg = compose([*norm, f"seed={seed}"])
        # The same seed and so the same weights in every call.
        model = build_model(cfg, "image", (3, 16, 16), 10).double().train()
        # Gradients of several parts add up in the parameters: workers, one after the other.
        for part in torch.arange(len(x)).chunk(parts):
            # A mean over workers, as DDP averages.
            loss: Any = F.cross_entropy(model(x[part]), y[part]) / parts
            loss.backward()
        gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        return torch.cat(gradients)

    ghost, own, shared = gradient(SAMPLES, 1), gradient(None, workers), gradient(None, 1)
    size = ghost.abs().max()
    return {
        "own_error": float((ghost - own).abs().max() / size),
        "shared_error": float((ghost - shared).abs().max() / size),
    }


CLAIM = Claim(
    slug="ghostbn-combines-workers",
    statement="Ghost BatchNorm forms a large batch out of workers' small ones, by communication "
    "between them.",
    documents=("How BN, IN and LN differ",),
    source="Hoffer et al. 2017 do the reverse: small ghost batches out of a large one, each with "
    "its own statistics.",
    prediction="refuted: the definition is the reverse, and workers that exchange no statistics "
    "give the same gradient",
    arms=tuple(
        Arm(name, options={"workers": workers}) for name, workers in zip(ARMS, WORKERS, strict=True)
    ),
    protocols=direct_protocols(20),
    trial=trial,
    clauses=(
        Part(
            "definition",
            "it combines small batches into a large one",
            Quantity("the definition, no measurement", "", lambda evidence: np.zeros(0), ARMS),
            Stated(
                REFUTED,
                "Hoffer et al. 2017 split a large batch into small ghost batches with statistics "
                "of their own, to close the generalization gap of large-batch training; nothing is "
                "combined",
            ),
        ),
        Part(
            "large batch",
            "it gives the gradient of the large batch's statistics",
            every(
                ARMS,
                ["shared_error"],
                words="largest difference of the gradient from that of the large batch's "
                "statistics, over the largest entry",
            ),
            Exact(TOLERANCE),
        ),
        Part(
            "communication",
            "it needs communication of statistics between workers",
            every(
                ARMS,
                ["own_error"],
                words="largest difference of the gradient from that of workers that exchange no "
                "statistics, over the largest entry",
            ),
            NotExact(TOLERANCE),
        ),
    ),
    answers=Answers(
        supported="Ghost BatchNorm forms a large batch out of workers' small ones, and needs "
        "communication for it.",
        refuted="It is the reverse: Ghost BatchNorm splits a large batch into small ones; its "
        "gradient is {large batch.effect:.0%} off that of the large batch, and that of workers "
        "which exchange no statistics to {communication.effect:.0e}.",
        partly="Not all of it: Ghost BatchNorm's gradient is {large batch.effect:.0%} off that of "
        "the large batch, and {communication.effect:.0e} off that of workers which exchange no "
        "statistics.",
    ),
    caveats=(
        "Workers are simulated one after the other in one process; the run in several processes is "
        "syncbn's affair.",
        "Whether ghost batches improve large-batch training is another claim and not decided here.",
    ),
    would_change="Nothing numerical: the description would have to be of another technique.",
    first_seed=0,
    metrics={
        "shared_error": "gradient of ghost batches against the large batch's, relative error",
        "own_error": "gradient of ghost batches against separate workers', relative error",
    },
)
