"""BatchNorm requires a batch, and LayerNorm does not.

Said by: "BatchNorm vs LayerNorm".
Primary source: Ioffe & Szegedy 2015, section 3.1: statistics of the mini-batch while it trains, and
of the population at inference. Ba et al. 2016: of one training case.
Measured: torch's layers are given samples one by one, and as a batch. What a batch is required for
is asked three ways: to train on rows, where a single sample has one value per channel; to evaluate;
and of LayerNorm, in either mode. On maps a single sample is taken in train mode, too: scope.
Cost: normlab run batch-required --profile full    40 trials, a second of one core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import Quantity, largest
from normlab.claims.rules import Exact, NotExact

ARMS = ("float32", "float64")
TOLERANCE = 1e-5


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Largest differences between samples alone and in their batch; 1 where one is refused."""
    import torch
    from torch import Tensor, nn

    generator = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, options["dtype"])
    rows = torch.randn(16, 32, generator=generator, dtype=dtype) * 3 + 1
    maps = torch.randn(16, 32, 4, 4, generator=generator, dtype=dtype) * 3 + 1

    @torch.no_grad()
    def alone(layer: nn.Module, x: Tensor) -> float:
        layer.to(dtype)
        together = layer(x)
        try:
            one_by_one = torch.cat([layer(sample) for sample in x.split(1)])
        except ValueError:
            return 1.0
        return float((one_by_one - together).abs().max())

    batch_norm = nn.BatchNorm1d(32).to(dtype)
    metrics = {
        "rows_refused": alone(batch_norm, rows),
        "maps_train": alone(nn.BatchNorm2d(32), maps),
        "layernorm_train": alone(nn.LayerNorm(32), rows),
        "layernorm_eval": alone(nn.LayerNorm(32).eval(), rows),
    }
    # Its running statistics have seen a batch by now.
    return {**metrics, "rows_eval": alone(batch_norm.eval(), rows)}


def apart(metric: str | tuple[str, ...], of: str) -> Quantity:
    words = f"largest difference of {of} between a sample alone and in its batch, 1 where it is "
    return largest(ARMS, metric, words=f"{words}refused, fp32 and fp64")


# Of a figure's heading.
ALONE = "largest |alone - in batch| (1: refused)"


CLAIM = Claim(
    slug="batch-required",
    statement="BatchNorm requires a batch, and LayerNorm does not.",
    documents=("BatchNorm vs LayerNorm",),
    source="Ioffe & Szegedy 2015, section 3.1: the dependence on the mini-batch is wanted in "
    "training, and not at inference.",
    prediction="partly supported: BatchNorm requires one to train, and none to evaluate; LayerNorm "
    "none",
    arms=tuple(Arm(dtype, options={"dtype": dtype}) for dtype in ARMS),
    protocols=direct_protocols(20, 0.02),
    trial=trial,
    clauses=(
        Part(
            "training",
            "in train mode BatchNorm does not give a single row what it gives it in a batch",
            apart("rows_refused", "BatchNorm in train mode, rows,"),
            NotExact(TOLERANCE),
        ),
        Part(
            "evaluation",
            "nor does it in eval mode",
            apart("rows_eval", "BatchNorm in eval mode, rows,"),
            NotExact(TOLERANCE),
        ),
        Part(
            "layernorm",
            "LayerNorm gives a single row the same, in either mode",
            apart(("layernorm_train", "layernorm_eval"), "LayerNorm in both modes"),
            Exact(TOLERANCE),
        ),
    ),
    scope=(
        Part(
            "maps",
            "on maps BatchNorm in train mode does not give a single sample the same, either",
            apart("maps_train", "BatchNorm in train mode, maps,"),
            NotExact(TOLERANCE),
        ),
    ),
    answers=Answers(
        supported="BatchNorm requires a batch in training and at evaluation, where a sample alone "
        "is {evaluation.effect:.1e} off; LayerNorm requires none ({layernorm.effect:.0e}).",
        refuted="BatchNorm gives a sample the same alone and in a batch, in training and at "
        "evaluation ({evaluation.effect:.0e}), or LayerNorm does not ({layernorm.effect:.1e}).",
        partly="BatchNorm requires a batch to train, where it refuses a single row, and on maps "
        "gives a sample other values (by up to {maps.effect:.1f}); at evaluation it gives the "
        "same alone, to {evaluation.effect:.0e}, as LayerNorm does always "
        "({layernorm.effect:.0e}).",
    ),
    caveats=(
        "At evaluation it still rests on the batches that its running statistics came from.",
        "On maps a single sample is taken without a word: see bn-batch1-fails for what that costs.",
    ),
    would_change="A BatchNorm whose evaluation uses the batch, as with track_running_stats=False.",
    first_seed=0,
    metrics={
        "rows_refused": f"BatchNorm on rows, train mode: {ALONE}",
        "rows_eval": f"BatchNorm on rows, eval mode: {ALONE}",
        "layernorm_train": f"LayerNorm on rows, train mode: {ALONE}",
        "layernorm_eval": f"LayerNorm on rows, eval mode: {ALONE}",
        "maps_train": f"BatchNorm on maps, train mode: {ALONE}",
    },
)
