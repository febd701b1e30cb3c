"""A convolution's bias before BatchNorm is dead weight.

Said by: "How BN, IN and LN differ", which implies it by the snippet conv -> BN with the bias left
on.
Primary source: Ioffe & Szegedy 2015, section 3.2: the bias can be ignored, since the subtraction of
the mean cancels it.
Measured: the bias' gradient, and what another bias does to the output. In training the claim is
exact. At evaluation the running mean has to have followed the bias first: 0.9^k of a change is left
after k batches, so that is measured after 200 of them.
Cost: normlab run conv-bias-redundant --profile full    40 trials, 12 seconds of one core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import largest
from normlab.claims.rules import Exact

ARMS = ("float32", "float64")


def trial(options: Options, seed: int) -> dict[str, Any]:
    """The bias' gradient over the weight's, and the change of the output when the bias is drawn
    anew."""
    import copy

    import torch
    from torch import Tensor, nn

    from normlab.norms import make_norm

    generator = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, options["dtype"])
    norm = make_norm("batchnorm", 32, "NCHW")
    plain: Any = nn.Sequential(nn.Conv2d(8, 32, 3, padding=1), norm).to(dtype)
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)
    other = copy.deepcopy(plain)
    with torch.no_grad():
        # Everything else is the same, so that a change of the output is the bias'.
        other[0].bias.normal_(0, 3, generator=generator)

    def batch() -> Tensor:
        return torch.randn(32, 8, 6, 6, generator=generator, dtype=dtype) + 1

    def change(x: Tensor) -> float:
        with torch.no_grad():
            y = plain(x)
            return float((other(x) - y).abs().max() / y.abs().max())

    x = batch()
    # A random linear loss: its gradient has no reason to be 0.
    (plain(x) * torch.randn(32, 32, 6, 6, generator=generator, dtype=dtype)).sum().backward()
    gradients = {"bias": plain[0].bias.grad, "weight": plain[0].weight.grad}
    metrics = {
        "gradient": float(gradients["bias"].norm() / gradients["weight"].norm()),
        "training": change(x),
    }
    # The second batch in train mode: 0.9² of the difference of the running means is left.
    change(batch())
    plain.eval(), other.eval()
    metrics["evaluation_after_2"] = change(x)
    plain.train(), other.train()
    # 0.9^200 = 7e-10.
    for _ in range(200):
        change(batch())
    plain.eval(), other.eval()
    return {**metrics, "evaluation": change(x)}


def part(name: str, statement: str, metric: str, what: str) -> Part:
    words = f"largest {what}, fp32 and fp64"
    return Part(name, statement, largest(ARMS, metric, words=words), Exact(1e-5))


CHANGE = "change of the output over the largest output"

CLAIM = Claim(
    slug="conv-bias-redundant",
    statement="A convolution's bias before BatchNorm is dead weight.",
    documents=("How BN, IN and LN differ",),
    source="Ioffe & Szegedy 2015, section 3.2: the bias 'can be ignored since its effect will be "
    "canceled'.",
    prediction="supported: no gradient reaches the bias, and none of its values changes the output",
    arms=tuple(Arm(dtype, options={"dtype": dtype}) for dtype in ARMS),
    protocols=direct_protocols(20, 0.3),
    trial=trial,
    clauses=(
        part(
            "gradient",
            "the loss has no gradient for the bias",
            "gradient",
            "norm of the bias' gradient over that of the weight's",
        ),
        part("training", "another bias does not change the output in training", "training", CHANGE),
        part("evaluation", "nor at evaluation, 200 batches later", "evaluation", CHANGE),
    ),
    answers=Answers(
        supported="A bias before BatchNorm has no gradient ({gradient.effect:.0e} of the "
        "weight's) and changes no output, in training or, 200 batches later, at evaluation.",
        refuted="A bias before BatchNorm is no dead weight: its gradient is {gradient.effect:.1e} "
        "of the weight's, and it changes outputs by {training.effect:.1e} in training.",
        partly="A bias before BatchNorm has a gradient of {gradient.effect:.1e} of the weight's "
        "and changes outputs by {training.effect:.1e} in training and {evaluation.effect:.1e} at "
        "evaluation.",
    ),
    caveats=(
        "A bias that changes faster than the running mean follows shows at evaluation "
        "(evaluation_after_2).",
    ),
    would_change="Weight decay or noise on the bias large enough that the running mean does not "
    "follow.",
    first_seed=0,
    metrics={
        "gradient": "gradient of the bias over that of the weight, norms",
        "training": "change of the output by another bias, train mode, relative",
        "evaluation": "change of the output by another bias, 200 batches later, relative",
    },
)
