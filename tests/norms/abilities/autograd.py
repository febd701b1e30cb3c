"""Gradients of all orders and by all ways."""

from collections.abc import Sequence

import torch
from norm_cases import FORMULA, oracle_state
from torch import Tensor, nn

from abilities.cases import OPTIONS, VARIANTS, Case, build, example
from abilities.table import ability
from normlab.norms.formulas import reference

Gradients = Sequence[Tensor | None]


def formula(case: Case, layer: nn.Module, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The plain formula of a layer of ours in float64, and its parameters there."""
    parameters, running = oracle_state(layer)
    kind, options = VARIANTS.get(case.kind, (case.kind, OPTIONS.get(case.kind, {})))
    kind = FORMULA.get(kind, kind)
    options = {} if kind == "causal_batchnorm" else options
    y = reference(
        kind, x, case.layout, parameters, training=layer.training, running=running, **options
    )
    return y, parameters


def second(y: Tensor, x: Tensor, parameters: dict[str, Tensor]) -> Gradients:
    """The gradients of a gradient penalty with respect to the input and each parameter."""
    (dx,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
    wanted = [x, *(parameters[name] for name in sorted(parameters))]
    return torch.autograd.grad(dx.square().sum(), wanted, allow_unused=True)


@ability("double backward", group="autograd")
def double_backward(case: Case) -> None:
    """Of a gradient penalty, against the plain formula; in float32, and closer in float64."""
    for dtype, close in ((torch.float32, 1e-3), (torch.float64, 1e-8)):
        layer, x = build(case).to(dtype), example(case).to(dtype).requires_grad_()
        found = second(layer(x), x, dict(layer.named_parameters()))
        if not case.of_torch:
            x64 = x.detach().double().requires_grad_()
            y, parameters = formula(case, build(case).to(dtype), x64)
            agree(found, second(y, x64, parameters), close)


def agree(found: Gradients, wanted: Gradients, close: float) -> None:
    """Each value within the share `close` of itself and of the largest of all, at least of 1."""
    sizes = [1.0, *(one.abs().max().item() for one in wanted if one is not None)]
    for ours, plain in zip(found, wanted, strict=True):
        if ours is None or plain is None:
            ours, plain = (torch.zeros(()) if one is None else one for one in (ours, plain))
        torch.testing.assert_close(
            ours.double(), plain.double(), rtol=close, atol=close * max(sizes)
        )
