"""Whether a folded network gives what the network gave: in float32, else in float64."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from normlab.measure.zoo.inputs import doubled
from normlab.tools.fold import fold
from normlab.tools.forward_pass import call, tensors_in

TOLERANCE = 1e-4  # of the largest value of an output, in float32
_EXACT = 1e-9  # the same in float64
_NOISE = 1e-14  # of weights in float64, which rounding changes as much


@torch.no_grad()
def fold_equality(model: nn.Module, folded: nn.Module, batch: Any) -> tuple[str, float | None]:
    """In a word whether both give the same for `batch`, and the largest relative difference.

    "equal" in float32; "equal in float64" where rounding alone makes more than TOLERANCE; "equal
    but for ties" where, in float64, noise as small as rounding changes the outputs of `model` just
    so, as the order of boxes with equal scores; "not finite" where `model` gives no numbers; else
    "differs".
    """
    before, after = outputs(model, batch), outputs(folded, batch)
    if not all(bool(tensor.isfinite().all()) for tensor in before):
        return "not finite", None
    first = difference(before, after)
    if first is not None and first <= TOLERANCE:
        return "equal", first
    exact, batch = copy.deepcopy(model).double(), doubled(batch)
    before = outputs(exact, batch)
    # Folded anew: the one that was given holds rounded weights.
    second = difference(before, outputs(fold(exact).model, batch))
    if second is not None and second <= _EXACT:
        return "equal in float64", first
    noisy = difference(before, outputs(with_noise(exact), batch))
    if noisy is None or noisy > _EXACT:
        return "equal but for ties", first
    return "differs", first


def outputs(model: nn.Module, batch: Any) -> list[Tensor]:
    """The tensors that it gives, with the same random numbers each time."""
    torch.manual_seed(3)
    return list(tensors_in(call(model, batch)))


def difference(one: list[Tensor], other: list[Tensor]) -> float | None:
    """The largest, relative to the largest value of its tensor; None for other shapes."""
    if [tensor.shape for tensor in one] != [tensor.shape for tensor in other]:
        return None
    largest = 0.0
    for a, b in zip(one, other, strict=True):
        if not a.numel():
            continue
        a, b = a.double(), b.double()
        scale = float(a.abs().max()) or 1.0
        apart = float((a - b).abs().max()) / scale
        # Not a number in one of them alone is as far apart as can be.
        largest = max(largest, apart if apart == apart else float("inf"))
    return largest if largest < float("inf") else None


def with_noise(model: nn.Module) -> nn.Module:
    """A copy whose weights have relative noise as small as rounding in float64."""
    noisy = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(4)
    for parameter in noisy.parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.mul_(1 + _NOISE * noise.to(parameter.dtype))
    return noisy
