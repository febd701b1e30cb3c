"""The calls that a module's forward pass makes, as torch.fx traces them, on each way through it."""

from dataclasses import dataclass
from dis import opmap
from typing import Any

from torch import fx, nn
from torch.nn.modules.conv import _ConvNd

from normlab.norms import Norm
from normlab.tools.fold.batch_norms import is_batch_norm
from normlab.tools.fold.stand_ins import builtins_for

# A forward pass with more ways, choices on one of them, or calls on all together is not followed.
_WAYS, _CHOICES, _CALLS = 64, 12, 5000
_LAYERS = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
_CODE = ("forward", "_conv_forward", "__call__")


def is_layer(module: nn.Module) -> bool:
    """Whether `module` is a linear layer or convolution that computes what torch's does."""
    if not isinstance(module, nn.Linear | _ConvNd) or "forward" in vars(module):
        return False
    # By code, not by class: a subclass with other code may do more than W x + b.
    return any(
        all(getattr(type(module), name, None) is getattr(cls, name, None) for name in _CODE)
        for cls in _LAYERS
    )


@dataclass(frozen=True)
class Trace:
    """One way through a forward pass.

    nodes: the calls in their order. closed: paths of modules that could not be traced, each with
    the reason; `atoms` of them are single operations to torch.fx.
    """

    nodes: list[fx.Node]
    closed: dict[str, str]
    atoms: frozenset[str] = frozenset()


def trace(model: nn.Module) -> Trace:
    """The one way through `model`. It is left with traces in it: pass a copy."""
    tracer = _Tracer()
    try:
        # Untraceable as a whole: there are no calls, and every norm says why.
        nodes = list(tracer.trace(model).nodes)
    except Exception as error:  # a forward may do anything to a stand-in for a tensor
        return Trace([], {"": _untraceable(type(model).__name__, error)})
    return Trace(nodes, tracer.closed, frozenset(tracer.atoms))


def traces(module: nn.Module, opaque: dict[str, str] | None = None) -> list[Trace] | str:
    """Every way through the forward pass of `module`, or why that is not known.

    Where the code of `module` itself asks what a tensor or an optional argument is, both answers
    are tried; a way on which it refuses its input gives nothing. A module below it that asks is
    one call, on all ways if it is on one. `module` is left with traces in it: pass a copy.
    """
    name = type(module).__name__
    if "forward" in vars(module):
        return f"torch.fx cannot trace {name}: its forward has been replaced"
    ways: list[Trace] = []
    script: list[bool] | None = []
    reason = ""
    tries = calls = 0
    while script is not None:
        tracer = _Tracer(script, opaque)
        tries += 1
        try:
            with builtins_for(module, tracer):
                nodes = list(tracer.trace(module).nodes)
        except Exception as error:  # a forward may do anything to a stand-in for a tensor
            reason = _untraceable(name, error)
            if not _refuses(error):
                return reason
        else:
            if _keeps_stand_ins(module):
                return f"torch.fx cannot trace {name}: it keeps tensors in its attributes"
            ways.append(Trace(nodes, tracer.closed, frozenset(tracer.atoms)))
            calls += len(nodes)
        script = _next(tracer.choices)
        if script is not None and (tries >= _WAYS or calls > _CALLS):
            return f"torch.fx cannot trace {name}: there are too many ways through it"
    # Looked into on one way and passed by on another, a module would seem to be called twice.
    passed_by: dict[str, str] = dict(opaque or {})
    for way in ways:
        passed_by |= {path: why for path, why in way.closed.items() if path not in way.atoms}
    if len(ways) > 1 and len(passed_by) > len(opaque or {}):
        return traces(module, passed_by)
    return ways or reason


def _next(choices: list[bool]) -> list[bool] | None:
    """The choices of the next way: the last True becomes False. None: all have been gone."""
    while choices and not choices[-1]:
        choices = choices[:-1]
    return [*choices[:-1], False] if choices else None


class _Tracer(fx.Tracer):
    """Looks into every module but layers and norms, and passes by those that cannot be traced.

    script: the answers to the first questions that the module itself asks; all later ones are
    answered by True. None: a question ends the trace. opaque: paths of modules that are known to be
    untraceable, with the reasons.
    """

    def __init__(
        self, script: list[bool] | None = None, opaque: dict[str, str] | None = None
    ) -> None:
        # Shapes of parameters are then numbers and no proxies, and a forward may branch on them.
        super().__init__(param_shapes_constant=True)
        self.closed: dict[str, str] = {}  # modules that are not looked into, and why
        self.atoms: set[str] = set()
        self.choices: list[bool] = []
        self._script = script
        self._opaque = opaque or {}
        self._answers: dict[fx.Node, bool] = {}
        self._depth = 0  # of the modules below the one that is traced

    @property
    def asking(self) -> bool:
        return self._script is not None and not self._depth

    def choose(self) -> bool:
        script = self._script or []
        index = len(self.choices)
        if index == _CHOICES:
            raise fx.proxy.TraceError("there are too many ways through it")
        self.choices.append(script[index] if index < len(script) else True)
        return self.choices[-1]

    def to_bool(self, obj: fx.Proxy) -> bool:
        if not self.asking:
            return super().to_bool(obj)
        # An argument that is asked again, as a flag is in a loop, gives the same answer.
        if obj.node not in self._answers or obj.node.op != "placeholder":
            self._answers[obj.node] = self.choose()
        return self._answers[obj.node]

    def _proxy_placeholder(self, name: str, concrete_args: Any, sig: Any, fn: Any) -> Any:
        placeholder = super()._proxy_placeholder(name, concrete_args, sig, fn)
        parameter = sig.parameters.get(name)
        # Nothing else is None to `x is None`, a question that a stand-in does not hear.
        optional = parameter is not None and parameter.default is None
        return None if optional and self.asking and not self.choose() else placeholder

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        # Norms and layers are the nodes of interest: inside they would fall apart into operations.
        if isinstance(m, Norm) or is_batch_norm(m) or is_layer(m):
            return True
        if module_qualified_name in self._opaque:
            self.closed[module_qualified_name] = self._opaque[module_qualified_name]
            return True
        if super().is_leaf_module(m, module_qualified_name):
            self.closed[module_qualified_name] = f"{type(m).__name__} is one operation to torch.fx"
            self.atoms.add(module_qualified_name)
            return True
        return False

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        # To go back to: a forward that fails halfway has left nodes in the graph.
        last = next(iter(reversed(self.graph.nodes)))
        stack = self.module_stack.copy()
        self._depth += 1
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception as error:  # a forward may do anything to a stand-in for a tensor
            self.module_stack = stack
            self._erase_after(last)
            path = self.path_of_module(m)
            self.closed[path] = _untraceable(type(m).__name__, error)
            # The module stays one opaque call, so that the rest of the network can still be traced.
            return self.create_proxy("call_module", path, args, kwargs)
        finally:
            self._depth -= 1

    def _erase_after(self, last: fx.Node) -> None:
        """Takes back the calls that a module made before its tracing failed, the latest first."""
        calls = []
        for node in reversed(self.graph.nodes):
            if node is last:
                break
            calls.append(node)
        # Latest first, since torch.fx erases no node that has users.
        for node in calls:
            self.graph.erase_node(node)


def _refuses(error: Exception) -> bool:
    """Whether code outside of torch raised it on purpose, as for an input of another shape."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None or last.tb_frame.f_globals.get("__name__", "").startswith(("torch.", __name__)):
        return False
    code: bytes = last.tb_frame.f_code.co_code
    return code[last.tb_lasti] == opmap["RAISE_VARARGS"]


def _keeps_stand_ins(module: nn.Module) -> bool:
    """Whether its forward pass has put tensors into attributes, which others may read."""
    for part in module.modules():
        for value in vars(part).values():
            items = value.values() if isinstance(value, dict) else value
            held = items if isinstance(value, dict | list | tuple) else [value]
            if any(isinstance(item, fx.Proxy) for item in held):
                return True
    return False


def _untraceable(name: str, error: Exception) -> str:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"torch.fx cannot trace {name}: {reason}"
