"""Builtins that take torch.fx's stand-ins for tensors."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from torch import fx, nn


class AskingTracer(Protocol):
    """A tracer that may be asked for an answer that nobody knows."""

    @property
    def asking(self) -> bool: ...

    def choose(self) -> bool: ...

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any) -> Any: ...


@contextmanager
def builtins_for(module: nn.Module, tracer: AskingTracer) -> Iterator[None]:
    """Inside, len(), int() and isinstance() of a stand-in are known to the tracer.

    In the code of `module` and in its file alone: builtins take no stand-ins.
    """
    names = {"len": _recorded(len, tracer), "isinstance": _asked_class(tracer)}
    names["int"] = _StandInClass("int", (), {"call": staticmethod(_recorded(int, tracer))})
    scopes = [vars(sys.modules[cls.__module__]) for cls in type(module).__mro__]
    scopes = [scope for scope in scopes if not scope["__name__"].startswith(("torch.", "builtins"))]
    before = [(scope, {name: scope[name] for name in names if name in scope}) for scope in scopes]
    try:
        for scope in scopes:
            scope.update(names)
        yield
    finally:
        for scope, own in reversed(before):
            for name in names:
                scope.pop(name, None)
            scope.update(own)


def _recorded(function: Any, tracer: AskingTracer) -> Any:
    def record(*args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and isinstance(args[0], fx.Proxy):
            return tracer.create_proxy("call_function", function, args, {})
        return function(*args, **kwargs)

    return record


class _StandInClass(type):
    """What stands for `int` takes its calls, and is `int` to whoever asks for a class."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls.__dict__["call"].__func__(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, int)

    def __eq__(cls, other: object) -> bool:
        return other is int or other is cls

    def __hash__(cls) -> int:
        return hash(int)


def _asked_class(tracer: AskingTracer) -> Any:
    def ask(value: Any, classes: Any) -> bool:
        # Of an argument nobody knows; what operations give has no class but that of a stand-in.
        argument = isinstance(value, fx.Proxy) and value.node.op == "placeholder"
        return tracer.choose() if argument and tracer.asking else isinstance(value, classes)

    return ask
