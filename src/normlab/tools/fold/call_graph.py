"""Which layer of a network gets the output of which, as torch.fx traces it."""

import operator
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.nn.utils import parametrize

from normlab.tools.fold.batch_norms import Kept
from normlab.tools.fold.tracing import Trace, is_layer, trace

__all__ = ["CallGraph", "is_layer"]

# The functions behind `x += y` and the like, and that behind `x[i] = y`.
_WRITING_OPERATORS = frozenset(
    {
        operator.iadd,
        operator.iand,
        operator.iconcat,
        operator.ifloordiv,
        operator.ilshift,
        operator.imatmul,
        operator.imod,
        operator.imul,
        operator.ior,
        operator.ipow,
        operator.irshift,
        operator.isub,
        operator.itruediv,
        operator.ixor,
        operator.setitem,
    }
)


class CallGraph:
    """The calls of one forward pass of `model`, which is left with traces in it: pass a copy.

    way: one way through it, or through a module of it, with the names of `model`; None: that of
    `trace`. modules: by their path, by which they are named everywhere here. closed: paths of
    modules that could not be traced, each with the reason. nodes: the calls in their order.
    functions: calls of F.batch_norm. gone: the calls of norms that have been folded away, which
    tensors pass unchanged.
    """

    def __init__(self, model: nn.Module, way: Trace | None = None) -> None:
        self.modules = dict(model.named_modules())
        way = trace(model) if way is None else way
        nodes = way.nodes
        self.closed = way.closed
        self.nodes = nodes
        self.functions: list[str] = []
        self.gone: set[fx.Node] = set()
        self._order = {node: index for index, node in enumerate(nodes)}
        self._calls: dict[str, list[fx.Node]] = {}
        self.read: set[str] = set()  # modules whose tensors are used outside them
        self._tied = _modules_with_tied_weights(model)
        for node in nodes:
            if node.op == "call_module":
                self._calls.setdefault(str(node.target), []).append(node)
            elif node.op == "get_attr":
                # A module's tensor that is read past its forward: a tied embedding's weight.
                self.read.add(str(node.target).rpartition(".")[0])
            elif node.op == "call_function" and node.target is F.batch_norm:
                self.functions.append(node.name)

    def position(self, name: str) -> int:
        """Of the module's first call; those that are never called come last."""
        return self._order[self._calls[name][0]] if name in self._calls else len(self._order)

    def calls(self, name: str) -> bool:
        """Whether the module is called here."""
        return name in self._calls

    def only_call(self, name: str) -> fx.Node:
        """The one call of a module.

        Raises:
            Kept: it is called more than once, or where nobody can see it, or its tensors or its
                calls are used by others.
        """
        # "" stands for the whole model; else only what lies inside is out of sight.
        for path, reason in self.closed.items():
            if not path or name.startswith(f"{path}."):
                raise Kept(reason)
        calls = self._calls.get(name, [])
        if not calls:
            raise Kept("the forward pass does not reach it in the mode that the model is in")
        if len(calls) > 1:
            raise Kept(f"{name} is shared: it is called {len(calls)} times")
        self._refuse_hooks(name)
        if name in self.read:
            raise Kept(f"the tensors of {name} are used outside it")
        return calls[0]

    def layer_before(self, call: fx.Node) -> str:
        """The layer whose output `call` gets, and nobody else.

        Raises:
            Kept: there is none.
        """
        node, rows = call, False
        while True:
            (source,) = node.all_input_nodes
            # Another user would get the scaled output as well.
            others = [_name(user) for user in source.users if user is not node]
            if any(user is not node and not _reads_size(user, source) for user in source.users):
                raise Kept(f"its input is used by {', '.join(others)} too")
            if _flattens_rows(source):
                rows, node = True, source
                continue
            if not self.passes_on(source):
                layer = self._layer(source, "its input comes from")
                if rows and not isinstance(self.modules[layer], nn.Linear):
                    raise Kept(f"what {layer} gives is flattened before it")
                self._refuse_hooks_between(layer, call)
                return layer
            self._refuse_hooks_between(str(source.target), call)
            # Through dropout in eval mode, identities and norms that are gone.
            node = source

    def layers_after(self, node: fx.Node) -> tuple[str, ...]:
        """The layers that get the output of `node`, all of them.

        Raises:
            Kept: something else gets it, or writes into it on the way.
        """
        readers = list(self._readers(node))
        names = tuple(self._layer(reader, "its output goes to") for reader in readers)
        if not names:
            raise Kept("nothing uses its output")
        for name in names:
            self._refuse_hooks_between(name, node)
        last = max(self._order[reader] for reader in readers)
        for other, index in self._order.items():
            if self._order[node] < index < last and self._writes(other):
                # Without the norm, the layer reads the very tensor that the norm read, as it then
                # is.
                raise Kept(f"{_name(other)} writes in place before {names[-1]} has read")
        return names

    def _refuse_hooks(self, name: str) -> None:
        module = self.modules[name]
        # Whoever put them there looks at activations, which folding changes.
        if module._forward_hooks or module._forward_pre_hooks:
            raise Kept(f"{name} has hooks, which would see other values")

    def _refuse_hooks_between(self, name: str, node: fx.Node) -> None:
        """The same for modules that hold one of two calls: a fold crosses their border."""
        holders, others = and_above(name), and_above(str(node.target))
        for holder in holders ^ others:
            self._refuse_hooks(holder)

    def _readers(self, node: fx.Node) -> Iterator[fx.Node]:
        """What gets the output of `node`, and not its size alone, directly or handed on."""
        waiting = [node]
        while waiting:
            source = waiting.pop()
            for user in source.users:
                if self.passes_on(user):
                    waiting.append(user)
                elif not _reads_size(user, source):
                    yield user

    def _layer(self, node: fx.Node, what: str) -> str:
        """The layer that `node` calls; raises Kept if it is none that can take a norm over."""
        if node.op != "call_module" or not is_layer(self.modules[str(node.target)]):
            raise Kept(f"{what} {_name(node)}")
        name = str(node.target)
        self.only_call(name)
        # The layer that shares them would be scaled, too.
        if {name, f"{name}.parametrizations.weight"} & self._tied:
            raise Kept(f"{name} shares its weights with another layer")
        if parametrize.is_parametrized(self.modules[name]) and self.modules[name].training:
            raise Kept(f"{name} computes its weights anew in training mode: call eval() first")
        return name

    def passes_on(self, node: fx.Node) -> bool:
        """Whether `node` gives on what it gets."""
        module = self.modules.get(str(node.target)) if node.op == "call_module" else None
        dropout = isinstance(module, nn.modules.dropout._DropoutNd) and not module.training
        # Identity by its type: a subclass may do something.
        return node in self.gone or dropout or type(module) is nn.Identity

    def _writes(self, node: fx.Node) -> bool:
        """Whether `node` may write into a tensor that it is given."""
        if self.passes_on(node):
            return False
        if node.op == "call_module":
            target = str(node.target)
            # What could not be traced may write wherever it likes.
            return bool(getattr(self.modules[target], "inplace", False)) or target in self.closed
        # torch's names for what writes end with an underscore: `add_`, `relu_`.
        if node.target in _WRITING_OPERATORS or bool(node.kwargs.get("inplace", False)):
            return True
        return node.op in ("call_method", "call_function") and _function_name(node).endswith("_")


def and_above(name: str) -> set[str]:
    """The path `name` and those of all modules that hold it, but for the whole model."""
    parts = name.split(".")
    return {".".join(parts[:end]) for end in range(1, len(parts) + 1)}


def _modules_with_tied_weights(model: nn.Module) -> set[str]:
    """Paths of modules one of whose parameters is another's, too."""
    paths: dict[int, set[str]] = {}
    # Duplicates are what is looked for.
    for name, parameter in model.named_parameters(remove_duplicate=False):
        paths.setdefault(id(parameter), set()).add(name)
    tied = set()
    for names in paths.values():
        if len(names) > 1:
            tied |= {name.rpartition(".")[0] for name in names}
    return tied


def _reads_size(node: fx.Node, source: fx.Node) -> bool:
    """Whether `node` reads of `source` its size alone."""
    if node.op == "call_method" and node.target == "reshape_as":
        return node.args[0] is not source
    if node.op == "call_method":
        return node.target in ("size", "dim")
    return node.target is getattr and node.args[1] in ("shape", "ndim")


def _flattens_rows(node: fx.Node) -> bool:
    """Whether `node` puts (N, T, C) into rows (N T, C)."""
    first = node.op == "call_method" or node.target is torch.flatten
    return first and _function_name(node) == "flatten" and node.args[1:] == (0, 1)


def _function_name(node: fx.Node) -> str:
    """The name of the function or method that `node` calls."""
    if isinstance(node.target, str):
        return node.target
    return str(getattr(node.target, "__name__", ""))


def _name(node: fx.Node) -> str:
    """What a reader calls it: the path of a module, the name of a function."""
    if node.op == "placeholder":
        return f"the input {node.target}"
    if node.op == "output":
        return "the model's output"
    return _function_name(node) or node.name
