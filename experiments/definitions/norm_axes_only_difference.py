"""All normalizers are one standardise-then-scale map; only the axes of their statistics differ.

Said by: three documents (below).
Primary source: Wu & He 2018, section 3.1, write BN, LN, IN and GN as one formula over index sets,
with one scale and shift per channel.
Measured: whether the choice of axes alone gives all five: BN, LN, IN and GN in training, and
RMSNorm. Scope: these norms in training; RMSNorm, which no axes give; BN at evaluation, which has no
axes; torch's LayerNorm over (C, H, W), whose scale and shift belong to elements. Each is compared
with torch.nn, the first one by its input gradient, too.
Cost: normlab run norm-axes-only-difference --profile full    40 trials, 2 seconds of one core
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import largest
from normlab.claims.rules import Exact

if TYPE_CHECKING:
    from torch import Tensor

AXES = (
    (0, 2, 3),  # batch norm
    (1, 2, 3),  # layer norm
    (2, 3),  # instance norm
    (1,),  # layer norm over channels
)
ARMS = ("float32", "float64")


def by_axes(x: "Tensor", axes: tuple[int, ...]) -> "Tensor":
    """`x` standardised over `axes`."""
    centred = x - x.mean(axes, keepdim=True)
    return centred / (centred.square().mean(axes, keepdim=True) + 1e-5).sqrt()


def in_groups(x: "Tensor") -> "Tensor":
    """`x` (N, 16, H, W) standardised over 4 groups of 4 channels."""
    groups = x.reshape(len(x), 4, 4, *x.shape[2:])
    return by_axes(groups, (2, 3, 4)).flatten(1, 2)


def relative(y: "Tensor", target: "Tensor") -> float:
    """The largest error over the largest value of the target."""
    return float((y - target).abs().max() / target.abs().max())


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Largest errors, relative to the largest value, of the map by axes against torch.nn's
    layers."""
    from functools import partial

    import torch
    from torch import Tensor, nn

    generator = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, options["dtype"])
    x = torch.randn(8, 16, 6, 6, generator=generator, dtype=dtype)
    upstream = torch.randn(8, 16, 6, 6, generator=generator, dtype=dtype)
    # Of its own scale for each image and channel: statistics over other axes give other values.
    x = x * torch.rand(8, 16, 1, 1, generator=generator, dtype=dtype).mul_(4).add_(0.3) + 2

    def output_and_gradient(function: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        leaf = x.clone().requires_grad_()
        # Gradients too: two maps may agree at a point and differ in their slope.
        y = function(leaf)
        return y.detach(), torch.autograd.grad(y, leaf, upstream)[0]

    def error(one: Callable[[Tensor], Tensor], other: Callable[[Tensor], Tensor]) -> float:
        pairs = zip(output_and_gradient(one), output_and_gradient(other), strict=True)
        return max(relative(y, target) for y, target in pairs)

    batch_norm = nn.BatchNorm2d(16, affine=False).to(dtype)
    layers = (batch_norm, nn.LayerNorm((16, 6, 6), elementwise_affine=False), nn.InstanceNorm2d(16))
    four = [error(in_groups, nn.GroupNorm(4, 16, affine=False))]
    # The last axes, those of each pixel, have no layer of torch's.
    for axes, layer in zip(AXES, layers, strict=False):
        four.append(error(partial(by_axes, axes=axes), layer))
    rms = nn.RMSNorm((16, 6, 6), eps=1e-5, elementwise_affine=False)
    evaluated = batch_norm.eval()  # with the running statistics of the step above
    affine = nn.LayerNorm((16, 6, 6)).to(dtype)
    with torch.no_grad():
        affine.weight.normal_(1, 0.5, generator=generator)
        target, plain = affine(x), by_axes(x, (1, 2, 3))
        # Least squares per channel.
        scale = (plain * target).sum((0, 2, 3)) / plain.square().sum((0, 2, 3))
        return {
            "four": max(four),
            "rmsnorm": min(relative(by_axes(x, axes), rms(x)) for axes in AXES),
            "evaluation": min(relative(by_axes(x, axes), evaluated(x)) for axes in AXES),
            "per_element": relative(plain * scale[:, None, None], target),
        }


def part(name: str, statement: str, *metrics: str) -> Part:
    words = "largest error of an output, over the largest output, fp32 and fp64"
    if "four" in metrics:
        words = "largest error of an output or input gradient, over the largest, fp32 and fp64"
    return Part(name, statement, largest(ARMS, metrics, words=words), Exact(1e-5))


CLAIM = Claim(
    slug="norm-axes-only-difference",
    statement="All normalizers are one standardise-then-scale map; only the axes of their "
    "statistics differ.",
    documents=(
        "Differences between Batch, Layer, Group and Instance Norm",
        "Normalization Deep-Dive",
        "How BN, IN and LN differ",
    ),
    source="Wu & He 2018, eq. 1 to 7: BN, LN, IN and GN differ in the set that mean and deviation "
    "are taken over.",
    prediction="partly supported: true of BN in training, LN, IN and GN; not of the other three",
    arms=tuple(Arm(dtype, options={"dtype": dtype}) for dtype in ARMS),
    protocols=direct_protocols(20, 0.05),
    trial=trial,
    clauses=(
        part(
            "five norms",
            "axes alone give BN in training, LN, IN, GN and RMSNorm",
            "four",
            "rmsnorm",
        ),
    ),
    scope=(
        part("four norms", "axes alone give BN in training, LN, IN and GN, without affine", "four"),
        part("RMSNorm", "some choice of axes gives RMSNorm", "rmsnorm"),
        part("evaluation", "some choice of axes gives BN at evaluation", "evaluation"),
        part(
            "affine",
            "a scale and shift per channel gives LayerNorm((C, H, W)) with its own",
            "per_element",
        ),
    ),
    answers=Answers(
        supported="One formula gives all five norms by the choice of its axes, to "
        "{five norms.effect:.0e}.",
        refuted="Axes alone give BN in training, LN, IN and GN, to {four norms.effect:.0e}; but "
        "no axes give RMSNorm ({RMSNorm.effect:.0%} off at best), nor BN at evaluation "
        "({evaluation.effect:.0%}).",
    ),
    caveats=(
        "'LayerNorm' on images is three operators: over (C, H, W), over C per pixel, and torch's "
        "per element.",
    ),
    would_change="Axes that reproduce RMSNorm, or BN at evaluation, to 1e-5.",
    first_seed=0,
    metrics={
        "four": "statistics by axes against BN, LN, IN and GN, relative error",
        "rmsnorm": "statistics by the best axes against RMSNorm, relative error",
        "evaluation": "statistics by the best axes against BN in eval mode, relative error",
        "per_element": "a gain per channel against LayerNorm((C, H, W)), relative error",
    },
)
