"""Where a network has its norms and of what kind they are, measured on a forward pass.

Nothing is read from names. A norm is a layer whose output stays the same when its input is
multiplied by a constant. Where it stands follows from which tensor became part of which other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from normlab.tools.forward_pass import by_position
from normlab.tools.norm_probe import Behaviour, behaviour
from normlab.tools.tensor_graph import TensorGraph

_PLACEMENTS = {
    frozenset({"before"}): "pre",
    frozenset({"after sum"}): "post",
    frozenset({"before", "after branch"}): "sandwich",
    frozenset({"after branch"}): "output",
    frozenset(): "none",
}


@dataclass(frozen=True)
class NormCall:
    """A norm at work: `role` is before, after branch, after sum, embedding, last or inner."""

    module: str
    kind: str  # its class
    behaviour: Behaviour
    role: str


@dataclass(frozen=True)
class NormPlacement:
    """Where the norms of a network stand.

    norms: each call of a norm layer. functional: norms that are a function's call and no layer,
    of whatever kind. branches: for each residual sum in order, where its norms are. placement:
    their name if all agree: pre, post, sandwich, output, none, else mixed.

    operations: those with a weight of two or more dimensions (linear layers, convolutions) that
    read what another one or an embedding made. normed_operations: those of them that no such
    value reaches without passing a norm.
    """

    norms: tuple[NormCall, ...]
    functional: int
    branches: tuple[frozenset[str], ...]
    placement: str
    operations: int
    normed_operations: int

    @property
    def final_norm(self) -> bool:
        """A norm of the last sum that is not a block's own."""
        # With Post-LN the last sum's norm is the last block's own.
        return self.placement != "post" and any(norm.role == "last" for norm in self.norms)


class _Arguments(NamedTuple):
    """What a layer was called with."""

    positional: tuple[Any, ...]
    keywords: Mapping[str, Any]


@torch.no_grad()
def norm_placement(model: nn.Module, inputs: Mapping[str, Any]) -> NormPlacement:
    """Where `model` has its norms in `model(**inputs)`, which is called twice.

    Draws from the global random state.
    """
    # First which layers are norms, by what they get; then where these stand.
    behaviours = _behaviours(model, inputs)
    norms = {name: model.get_submodule(name) for name in behaviours}
    graph = TensorGraph(model, norms)
    with graph:
        model(**inputs)
    graph.remove_hooks()
    roles, branches = graph.placements()
    calls = []
    for use, role in zip(graph.norms, roles, strict=True):
        kind = type(norms[use.name]).__name__
        calls.append(NormCall(use.name, kind, behaviours[use.name], role))
    # Without any residual sum there is no place for a norm.
    names = {_PLACEMENTS.get(branch, "mixed") for branch in branches} or {"none"}
    return NormPlacement(
        norms=tuple(calls),
        functional=graph.functional,
        branches=tuple(branches),
        placement=names.pop() if len(names) == 1 else "mixed",
        operations=len(graph.operations),
        normed_operations=sum(graph.operations),
    )


def _behaviours(model: nn.Module, inputs: Mapping[str, Any]) -> dict[str, Behaviour]:
    """By name, what each layer does that is a norm of what it gets in `model(**inputs)`."""
    # Blocks ignore the scale of their input, too, where a norm comes first in them.
    leaves = {name: module for name, module in model.named_modules() if not any(module.children())}
    arguments: dict[str, _Arguments] = {}
    hooks = []
    for name, module in leaves.items():
        hook = _keep_arguments(arguments, name)
        hooks.append(module.register_forward_pre_hook(hook, with_kwargs=True))
    model(**inputs)
    for handle in hooks:
        handle.remove()
    behaviours = {}
    for name, call in arguments.items():
        found = behaviour(leaves[name], *call.positional, **call.keywords)
        if found is not None:
            behaviours[name] = found
    return behaviours


def _keep_arguments(
    arguments: dict[str, _Arguments], name: str
) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
    """A hook that keeps the last arguments of a layer whose first one may be an activation."""

    def keep(module: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        call = _Arguments(*by_position(module, args, keywords))
        x = call.positional[0] if call.positional else None
        # Tokens, masks and positions are no activations.
        if isinstance(x, Tensor) and x.is_floating_point() and x.dim() > 1:
            arguments[name] = call

    return keep
