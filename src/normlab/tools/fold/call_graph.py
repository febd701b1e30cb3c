"""Which layer of a network gets the output of which, as torch.fx traces it."""

import operator
from typing import Any

import torch.nn.functional as F
from torch import fx, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

from normlab.norms.base import Norm
from normlab.tools.fold.batch_norms import Kept, is_batch_norm

_FORWARDS = {
    cls.forward
    for cls in (
        *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
        *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    )
}
_WRITING = {
    getattr(operator, name)
    for name in dir(operator)
    if name.startswith("i") and hasattr(operator, name[1:])
}


def is_layer(module: nn.Module) -> bool:
    """Whether `module` is a convolution, linear or transposed convolution that computes what torch's does."""
    return isinstance(module, nn.Linear | _ConvNd) and type(module).forward in _FORWARDS


class _Tracer(fx.Tracer):
    """Looks into every module but layers and norms, and passes by those that cannot be traced."""

    def __init__(self) -> None:
        super().__init__(param_shapes_constant=True)
        self.closed: dict[str, str] = {}  # modules that are not looked into, and why

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if isinstance(m, Norm) or is_batch_norm(m) or is_layer(m):
            return True
        if super().is_leaf_module(m, module_qualified_name):
            self.closed[module_qualified_name] = f"{type(m).__name__} is one operation to torch.fx"
            return True
        return False

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        last = next(iter(reversed(self.graph.nodes)))
        stack = self.module_stack.copy()
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception as error:  # a forward may do anything to a stand-in for a tensor
            self.module_stack = stack
            new = []
            for node in reversed(self.graph.nodes):
                if node is last:
                    break
                new.append(node)
            for node in new:
                self.graph.erase_node(node)
            path = self.path_of_module(m)
            self.closed[path] = _untraceable(type(m).__name__, error)
            return self.create_proxy("call_module", path, args, kwargs)


class CallGraph:
    """The calls of one forward pass of `model`, which is left with traces in it: pass a copy.

    Modules are named by their path, `modules` has those that tensors pass unchanged, once they are folded, too.
    """

    def __init__(self, model: nn.Module) -> None:
        self.modules = dict(model.named_modules())
        tracer = _Tracer()
        try:
            nodes = list(tracer.trace(model).nodes)
        except Exception as error:
            nodes = []
            tracer.closed = {"": _untraceable(type(model).__name__, error)}
        self.order = {node: index for index, node in enumerate(nodes)}
        self.closed = tracer.closed
        self.calls: dict[str, list[fx.Node]] = {}
        for node in nodes:
            if node.op == "call_module":
                self.calls.setdefault(str(node.target), []).append(node)
        self.read = {str(node.target).rpartition(".")[0] for node in nodes if node.op == "get_attr"}
        self.functions = [
            node.name
            for node in nodes
            if node.op == "call_function" and node.target is F.batch_norm
        ]
        self.gone: set[fx.Node] = set()
        uses: dict[int, set[str]] = {}
        for name, parameter in model.named_parameters(remove_duplicate=False):
            uses.setdefault(id(parameter), set()).add(name)
        self.tied = {
            name.rpartition(".")[0] for names in uses.values() if len(names) > 1 for name in names
        }

    def position(self, name: str) -> int:
        """Of the module's first call; those that are never called come last."""
        return self.order[self.calls[name][0]] if name in self.calls else len(self.order)

    def only_call(self, name: str) -> fx.Node:
        """The one call of a module. Raises Kept if it is called more than once, or where nobody can see it."""
        for path, reason in self.closed.items():
            if not path or name.startswith(f"{path}."):
                raise Kept(reason)
        calls = self.calls.get(name, [])
        if not calls:
            raise Kept("the forward pass does not reach it in the mode that the model is in")
        if len(calls) > 1:
            raise Kept(f"{name} is shared: it is called {len(calls)} times")
        module = self.modules[name]
        if module._forward_hooks or module._forward_pre_hooks:
            raise Kept(f"{name} has hooks, which would see other values")
        if name in self.read:
            raise Kept(f"the tensors of {name} are used outside it")
        return calls[0]

    def layer_before(self, node: fx.Node) -> str:
        """The layer whose output `node` gets, and nobody else. Raises Kept if there is none."""
        while True:
            (source,) = node.all_input_nodes
            if len(source.users) > 1:
                others = [_name(user) for user in source.users if user is not node]
                raise Kept(f"its input is used by {', '.join(others)} too")
            if not self._passes(source):
                return self._layer(source, "its input comes from")
            node = source

    def layers_after(self, node: fx.Node) -> tuple[str, ...]:
        """The layers that get the output of `node`, all of them. Raises Kept if something else gets it."""
        sinks: list[fx.Node] = []
        open_ = [node]
        while open_:
            for user in open_.pop().users:
                (open_ if self._passes(user) else sinks).append(user)
        names = tuple(self._layer(sink, "its output goes to") for sink in sinks)
        if not names:
            raise Kept("nothing uses its output")
        for between, index in self.order.items():
            if self.order[node] < index < max(self.order[sink] for sink in sinks) and self._writes(
                between
            ):
                # Without the norm, the layer reads the very tensor that the norm read, as it then is.
                raise Kept(f"{_name(between)} writes in place before {names[-1]} has read")
        return names

    def _layer(self, node: fx.Node, what: str) -> str:
        if node.op != "call_module" or not is_layer(self.modules[str(node.target)]):
            raise Kept(f"{what} {_name(node)}")
        name = str(node.target)
        self.only_call(name)
        if {name, f"{name}.parametrizations.weight"} & self.tied:
            raise Kept(f"{name} shares its weights with another layer")
        if parametrize.is_parametrized(self.modules[name]) and self.modules[name].training:
            raise Kept(f"{name} computes its weights anew in training mode: call eval() first")
        return name

    def _passes(self, node: fx.Node) -> bool:
        """Whether `node` gives on what it gets."""
        module = self.modules.get(str(node.target)) if node.op == "call_module" else None
        dropout = isinstance(module, nn.modules.dropout._DropoutNd) and not module.training
        return node in self.gone or dropout or type(module) is nn.Identity

    def _writes(self, node: fx.Node) -> bool:
        """Whether `node` may write into a tensor that it is given."""
        if node.op == "call_module":
            target = str(node.target)
            return bool(getattr(self.modules[target], "inplace", False)) or target in self.closed
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        writing = node.op in ("call_method", "call_function") and (
            name.endswith("_") or node.target in _WRITING
        )
        return writing or bool(node.kwargs.get("inplace", False)) or node.target is operator.setitem


def _name(node: fx.Node) -> str:
    """What a reader calls it: the path of a module, the name of a function."""
    if node.op == "placeholder":
        return f"the input {node.target}"
    if node.op == "output":
        return "the model's output"
    return (
        node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.name)
    )


def _untraceable(name: str, error: Exception) -> str:
    return f"torch.fx cannot trace {name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
