"""With frozen running statistics an output does not depend on the batch, and a batch of one works.

Said by: "Batch Normalization, a walkthrough" and "BatchNorm vs LayerNorm".
Primary source: Ioffe & Szegedy 2015, section 3.1: at inference the output depends on the input
only.
Measured: for the layer and for a network of five convolutions, which runs in train mode first, so
that its statistics are realistic: batches of 1 to 128, in another order, beside others.
Cost: normlab run bn-eval-deterministic --profile full    40 trials, 8 seconds of one core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import largest
from normlab.claims.rules import Exact

ARMS = ("float32", "float64")


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Largest change of an example's output, relative to the largest output; train mode for
    contrast."""
    from functools import partial

    import torch
    from torch import Tensor, nn

    from normlab.models.plaincnn import PlainCNN
    from normlab.norms import make_norm

    generator = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, options["dtype"])
    norm = partial(make_norm, "batchnorm")
    network = PlainCNN((3, 8, 8), 10, norm, False, generator, depth=5, width=16).to(dtype)
    layer = make_norm("batchnorm", 3, "NCHW").to(dtype)
    draw = partial(torch.randn, generator=generator, dtype=dtype)

    def change(model: nn.Module, x: Tensor) -> float:
        y = model(x)
        # The same examples in another order, put back in theirs.
        order = torch.randperm(128, generator=generator)
        reordered = model(x[order])[order.argsort()]
        # Beside examples 50 times as large, which would rule statistics of the batch.
        others = [reordered, model(torch.cat([x[:64], 50 * draw(64, 3, 8, 8)]))[:64]]
        for size in (1, 2, 7, 64):
            # Without the last batch: with 7 it is a smaller one.
            others.append(torch.cat([model(batch) for batch in torch.split(x, size)][:-1]))
        return max(float((y[: len(z)] - z).abs().max() / y.abs().max()) for z in others)

    with torch.no_grad():
        for model in (layer, network):
            # 0.9^20 = 12 % of the starting values are left: enough to be other than 0 and 1.
            for _ in range(20):
                model(2 * draw(64, 3, 8, 8) + 1)
            model.eval()
        x = 2 * draw(128, 3, 8, 8) + 1
        metrics = {"layer": change(layer, x), "network": change(network, x)}
        # For contrast, what the statistics of the batch do.
        y = network.train()(x)
        moved = (y[:64] - network(x[:64])).abs().max() / y.abs().max()
        return {**metrics, "train_mode": float(moved)}


def part(name: str, statement: str, metric: str) -> Part:
    change = largest(
        ARMS,
        metric,
        words="largest change of an example's output with its batch, over the largest output, fp32 "
        "and fp64",
    )
    return Part(name, statement, change, Exact(1e-5))


CLAIM = Claim(
    slug="bn-eval-deterministic",
    statement="With frozen running statistics an example's output is independent of the batch; a "
    "batch of one works.",
    documents=("Batch Normalization, a walkthrough", "BatchNorm vs LayerNorm"),
    source="Ioffe & Szegedy 2015, section 3.1: the output is to depend on the input only, "
    "deterministically.",
    prediction="supported",
    arms=tuple(Arm(dtype, options={"dtype": dtype}) for dtype in ARMS),
    protocols=direct_protocols(20, 0.2),
    trial=trial,
    clauses=(
        part("layer", "a BatchNorm layer in eval mode", "layer"),
        part("network", "a network of five convolutions with BatchNorm in eval mode", "network"),
    ),
    answers=Answers(
        supported="With frozen statistics an output does not depend on its batch: changes of "
        "{network.effect:.0e} of the largest output at most, at batches of 1 to 128.",
        refuted="With frozen statistics an output changes with its batch by up to "
        "{layer.effect:.1e} in a layer and {network.effect:.1e} in a network.",
    ),
    caveats=("Not bit by bit: convolutions may be computed another way for another batch size.",),
    would_change="An example whose output moves by more than rounding with its batch mates.",
    first_seed=0,
    metrics={
        "layer": "change of a BatchNorm layer's output with its batch, relative",
        "network": "change of a network's output with its batch, relative",
    },
)
