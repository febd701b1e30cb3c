"""torch.func's transforms and forward mode, against plain autograd."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jacfwd, jacrev, jvp, stack_module_state, vmap

from abilities.autograd import agree
from abilities.cases import FORMATS, Case, build, example
from abilities.table import ability


def stateful(case: Case) -> bool:
    return case.stateful


def loss(layer: nn.Module) -> Callable[..., Tensor]:
    """A function of parameters and of an input, with the buffers that the layer has."""
    return lambda parameters, x: functional_call(layer, parameters, (x,)).pow(3).sum()


def plain(layer: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """The gradients of `loss` by backward, that of the input as "x"."""
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    named = dict(layer.named_parameters())
    found = torch.autograd.grad(layer(x).pow(3).sum(), [x, *named.values()], allow_unused=True)
    return dict(zip(["x", *named], found, strict=True))


@ability("torch.func.grad", group="autograd")
def func_grad(case: Case) -> None:
    """Parameters and buffers handed over, so that running statistics are updated too."""
    layer, x = build(case), example(case)
    buffers = {name: buffer.clone() for name, buffer in layer.named_buffers()}

    def of_all(parameters: dict[str, Tensor], x: Tensor, buffers: dict[str, Tensor]) -> Tensor:
        return functional_call(layer, parameters | buffers, (x,)).pow(3).sum()

    of_both = grad(of_all, argnums=(0, 1))
    found = of_both(dict(layer.named_parameters()), x, buffers)
    other = build(case)
    wanted = plain(other, x)
    agree([found[1], *found[0].values()], list(wanted.values()), 2e-5)
    agree(list(buffers.values()), list(other.buffers()), 2e-5)
    for one, new in zip(layer.buffers(), build(case).buffers(), strict=True):
        assert torch.equal(one, new)  # the layer's own are left alone


def _per_sample(case: Case, *, training: bool) -> None:
    layer, x = build(case).train(training), example(case)
    parameters = dict(layer.named_parameters())
    call = loss(layer)

    def of_one(parameters: dict[str, Tensor], sample: Tensor) -> Tensor:
        return call(parameters, sample.unsqueeze(0))

    found = vmap(grad(of_one, argnums=(0, 1)), in_dims=(None, 0))(parameters, x)
    for i, sample in enumerate(x):
        one = sample.unsqueeze(0).contiguous(memory_format=FORMATS[case.memory_format])
        wanted = plain(build(case).train(training), one)
        names = list(parameters)
        agree([found[1][i][None], *(found[0][n][i] for n in names)], list(wanted.values()), 2e-5)


@ability("per-sample gradients", group="autograd")
def per_sample(case: Case) -> None:
    """vmap over grad with functional_call, as for differential privacy."""
    _per_sample(case, training=True)


@ability("per-sample gradients, eval mode", group="autograd", applies=stateful)
def per_sample_eval(case: Case) -> None:
    _per_sample(case, training=False)


def _vmap(case: Case, *, training: bool) -> None:
    layer = build(case).train(training)
    batches = [example(case, seed) for seed in (0, 1, 2)]
    found = vmap(layer)(torch.stack(batches))
    agree(list(found), [build(case).train(training)(x) for x in batches], 2e-5)


@ability("vmap", group="autograd")
def vmap_of_batches(case: Case) -> None:
    _vmap(case, training=True)


@ability("vmap, eval mode", group="autograd", applies=stateful)
def vmap_of_batches_eval(case: Case) -> None:
    _vmap(case, training=False)


@ability("vmap over layers", group="autograd")
def ensemble(case: Case) -> None:
    """Several layers of one kind at once, in eval mode, as stack_module_state prepares them."""
    layers = [build(case, seed).eval() for seed in (1, 2)]
    parameters, buffers = stack_module_state(layers)
    x = example(case)

    def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return functional_call(layers[0], (parameters, buffers), (x,))

    if not parameters:
        return
    found = vmap(one)(parameters, buffers)
    agree(list(found), [layer(x) for layer in layers], 2e-5)


def check_jacobian(case: Case, found: Tensor) -> None:
    """Of a batch of two: its product with a vector from either side, by backwards."""
    layer, x = build(case), example(case, batch=2).requires_grad_()
    y = layer(x)
    v, u = example(case, 1, batch=2), example(case, 2, batch=2)
    (wanted,) = torch.autograd.grad(y, x, v)
    square = found.reshape(x.numel(), -1)
    agree([(v.flatten() @ square).view(x.shape)], [wanted], 5e-5)
    agree([(square @ u.flatten()).view(x.shape)], [along(case, x.detach(), u)], 5e-5)


@ability("jacrev", group="autograd")
def reverse(case: Case) -> None:
    x = example(case, batch=2)
    check_jacobian(case, jacrev(build(case))(x))


@ability("jacfwd", group="autograd")
def forward(case: Case) -> None:
    x = example(case, batch=2)
    check_jacobian(case, jacfwd(build(case))(x))


def along(case: Case, x: Tensor, tangent: Tensor) -> Tensor:
    """The Jacobian times `tangent`, by two backwards."""
    derivative: Tensor = torch.autograd.functional.jvp(build(case), x, tangent)[1]
    return derivative


@ability("torch.func.jvp", group="autograd")
def tangents(case: Case) -> None:
    x, tangent = example(case), example(case, 1)
    _, found = jvp(build(case), (x,), (tangent,))
    agree([found], [along(case, x, tangent)], 2e-5)


@ability("forward mode", group="autograd")
def dual_numbers(case: Case) -> None:
    x, tangent = example(case), example(case, 1)
    layer, other = build(case), build(case)
    with forward_ad.dual_level():
        y = layer(forward_ad.make_dual(x, tangent))
        found = forward_ad.unpack_dual(y).tangent
    assert found is not None
    agree([found], [along(case, x, tangent)], 2e-5)
    other(x)
    agree(list(layer.buffers()), list(other.buffers()), 2e-5)


@ability("batched gradients", group="autograd")
def batched(case: Case) -> None:
    """autograd.grad with is_grads_batched, as autograd.functional.jacobian vectorizes."""
    layer, x = build(case), example(case, batch=2)
    found = torch.autograd.functional.jacobian(layer, x, vectorize=True)
    check_jacobian(case, found)
