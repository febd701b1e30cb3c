"""What goes into norms, comes out, and stands on the residual stream, in training and after."""

import copy
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from normlab.config.compose import compose
from normlab.norms import Norm
from normlab.norms.layer import LayerNorm
from normlab.records.record import DataSource
from normlab.training.setup import set_up

Course = list[dict[str, list[float]]]


def norms_of(model: nn.Module) -> list[Norm]:
    """Every norm layer of ours, the identity of norm=none included.

    So the places of norms are the same for all kinds.
    """
    return [module for module in model.modules() if isinstance(module, Norm)]


@torch.no_grad()
def inputs_of_norms(model: nn.Module, x: Tensor) -> list[Tensor]:
    """What each norm reads in `model(x)`, in the order of use."""
    read: list[Tensor] = []

    def note(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        read.append(inputs[0])

    hooks = [norm.register_forward_pre_hook(note) for norm in norms_of(model)]
    model(x)
    for hook in hooks:
        hook.remove()
    return read


def without_centring(model: nn.Module) -> nn.Module:
    """A copy of `model` in which layer norms over the last axis no longer subtract the mean.

    Norms that subtract none stay as they are.
    """
    model = copy.deepcopy(model)

    def uncentred(norm: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x = inputs[0]
        return x * (x.square().mean(-1, keepdim=True) + norm.eps).rsqrt() * norm.weight + norm.bias  # type: ignore[no-any-return]

    for norm in norms_of(model):
        if isinstance(norm, LayerNorm):
            norm.register_forward_hook(uncentred)
    return model


def course_of_training(
    overrides: Sequence[str], seed: int, rates: Iterable[float], moments: int = 11
) -> tuple[Course, DataSource]:
    """Root mean squares of activations from before the first step to after the last, and the data.

    Each of the `moments` has `read`, what every norm gave on a fresh training batch, in train mode,
    and `stream`, what every block of a transformer gave. Of the learning rates the one with the
    lowest loss over the last 20 steps counts.
    """
    lowest, chosen = math.inf, None
    for rate in rates:
        setup = set_up(compose([*overrides, f"seed={seed}", f"optim.lr={rate}"]))
        # The batch after the last: drawn as in training, and not trained on.
        probe, _ = setup.data.batch(setup.steps)
        course, losses = [_sizes(setup.model, probe)], []
        bounds = [round(setup.steps * k / (moments - 1)) for k in range(moments)]
        for first, last in pairwise(bounds):
            if last > first:
                losses += setup.train(first, last).tolist()
            course.append(_sizes(setup.model, probe))
        # Of 20 steps: a single batch's loss is too noisy to choose a rate by.
        loss = sum(losses[-20:]) / len(losses[-20:])
        if not math.isfinite(loss):
            loss = math.inf  # NaN is neither lower nor higher: it would stay chosen
        if chosen is None or loss < lowest:
            lowest, chosen, source = loss, course, setup.source
    assert chosen is not None, "no learning rate"
    return chosen, source


def log_range(course: Course, what: str) -> float:
    """Natural logarithm of the largest over the smallest root mean square, over places and
    moments."""
    sizes = [size for moment in course for size in moment[what]]
    # Zero and infinity have no logarithm; what diverged counts as the upper bound.
    bounded = [min(max(size, 1e-12), 1e12) if math.isfinite(size) else 1e12 for size in sizes]
    return math.log(max(bounded) / min(bounded))


@torch.no_grad()
def _sizes(model: nn.Module, x: Tensor) -> dict[str, list[float]]:
    # A copy: looking would move running statistics.
    model = copy.deepcopy(model).train()
    sizes: dict[str, list[float]] = {"read": [], "stream": []}

    def note(what: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            sizes[what].append(float(output.double().square().mean().sqrt()))

        return hook

    for norm in norms_of(model):
        norm.register_forward_hook(note("read"))
    for block in getattr(model, "blocks", ()):
        block.register_forward_hook(note("stream"))
    model(x)
    return sizes
