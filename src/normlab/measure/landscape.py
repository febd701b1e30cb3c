"""How the loss and its gradient vary along the gradient: as Santurkar et al. 2018 measure it, and
with the scale of the weights taken out."""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from normlab.training.step import loss_of

STEPS = (0.5, 1.0, 2.0, 4.0)  # times the rate, as in the paper's section 3.1
RELATIVE = 0.01  # length of a step, relative to weights of norm 1, that is multiplied likewise
_WEIGHTED = (nn.Conv2d, nn.Linear)


def landscape(model: nn.Module, x: Tensor, y: Tensor, rate: float) -> dict[str, float]:
    """Of the loss L of one batch, in train mode, in two sets of coordinates w.

    With the gradient g of L at w, the steps s of `STEPS` and w(s) = w - s * rate * g:

        loss_range      = max L(w(s)) - min L(w(s)), in nats
        gradient_change = max |g(w(s)) - g|
        smoothness      = max |g(w(s)) - g| / (s * rate * |g|)

    where w is all that is trained. The same with `relative_` before it is for the weights of
    convolutions and linear layers alone, each tensor W divided by its norm, and with steps of a
    given length: u = W / |W|, and u(s) = u - s * RELATIVE * h / |h|, where the gradient h for u,
    over all layers, is |W| times that for W. Weights before a norm have no scale: BN(a W x) is
    BN(W x), and the gradient for a W is 1 / a of that for W. The first three fall as such weights
    grow, though the network stays what it is; these do not. `relative_turn` is
    max |h(u(s)) - h| / |h|.

    The model is left as it is.

    Source: Santurkar et al. 2018 (arXiv 1805.11604), section 3.1.
    """
    model = copy.deepcopy(model).train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    _, gradient = _loss_and_gradient(model, trained, x, y)
    moves = [[-step * rate * one for one in gradient] for step in STEPS]
    raw = _along(model, trained, moves, [1.0] * len(trained), x, y)
    weights = [module.weight for module in model.modules() if isinstance(module, _WEIGHTED)]
    norms = [float(weight.detach().norm()) for weight in weights]
    _, gradient = _loss_and_gradient(model, weights, x, y)
    scaled = [norm * one for norm, one in zip(norms, gradient, strict=True)]
    length = float(_length(scaled))
    # A move of u by d is one of W by |W| d. Where the gradient is 0, there is no direction.
    unit = [norm * one / max(length, 1e-30) for norm, one in zip(norms, scaled, strict=True)]
    moves = [[-step * RELATIVE * one for one in unit] for step in STEPS]
    relative = _along(model, weights, moves, norms, x, y)
    metrics = {name: value for name, value in raw.items() if name != "turn"}
    return metrics | {f"relative_{name}": value for name, value in relative.items()}


def _along(
    model: nn.Module,
    parameters: Sequence[Tensor],
    moves: Sequence[Sequence[Tensor]],
    scales: Sequence[float],
    x: Tensor,
    y: Tensor,
) -> dict[str, float]:
    """The measures over `moves` of `parameters`, whose coordinates are divided by `scales`."""
    _, gradient = _loss_and_gradient(model, parameters, x, y)
    start = [parameter.detach().clone() for parameter in parameters]
    losses, changes, slopes = [], [], []
    for move in moves:
        with torch.no_grad():
            for parameter, one, by in zip(parameters, start, move, strict=True):
                parameter.copy_(one + by)
        loss, moved = _loss_and_gradient(model, parameters, x, y)
        change = _length(_scaled([a - b for a, b in zip(moved, gradient, strict=True)], scales))
        distance = _length([by / scale for by, scale in zip(move, scales, strict=True)])
        losses.append(_or_infinite(loss))
        changes.append(_or_infinite(float(change)))
        slopes.append(_or_infinite(float(change / distance.clamp_min(1e-30))))
    with torch.no_grad():
        for parameter, one in zip(parameters, start, strict=True):
            parameter.copy_(one)
    length = float(_length(_scaled(gradient, scales)))
    return {
        "loss_range": max(losses) - min(losses),
        "gradient_change": max(changes),
        "smoothness": max(slopes),
        "turn": max(changes) / max(length, 1e-30),
    }


def _loss_and_gradient(
    model: nn.Module, parameters: Sequence[Tensor], x: Tensor, y: Tensor
) -> tuple[float, list[Tensor]]:
    loss = loss_of(model, x, y)
    return float(loss.detach()), list(torch.autograd.grad(loss, parameters))


def _or_infinite(size: float) -> float:
    # NaN is neither larger nor smaller: a maximum could miss it.
    return math.inf if math.isnan(size) else size


def _scaled(tensors: Sequence[Tensor], scales: Sequence[float]) -> list[Tensor]:
    return [scale * one for one, scale in zip(tensors, scales, strict=True)]


def _length(tensors: Sequence[Tensor]) -> Tensor:
    """L2 norm over all of them, float64."""
    return torch.stack([one.double().square().sum() for one in tensors]).sum().sqrt()
