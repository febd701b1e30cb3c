"""Which modules the code of an untraceable module calls, and which it uses in another way.

Read from the source of its forward pass: a module below is called as a whole, or its parts are.
"""

import ast
import builtins
import inspect
import textwrap
from collections.abc import Iterable
from types import FunctionType, MethodType
from typing import Any

from torch import Tensor, nn

Modules = frozenset[nn.Module]
_NONE: Modules = frozenset()
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
# Of a tensor, what is no value; of anything, what looks at no module; what gives on modules.
_SIZES = {"dtype", "device", "shape", "ndim", "size", "dim", "is_cuda", "requires_grad"}
_HARMLESS = {"isinstance", "len", "hasattr", "type", "id", "bool", "callable", "str", "repr"}
_PASSING = {"enumerate", "zip", "reversed", "list", "tuple", "iter", "next", "super", "partial"}
_ITEMS = {"items", "values", "children", "named_children"}


class Reach:
    """What the code of some modules does with those below them, whatever way it takes.

    called: by that code itself, whole. used: in any other way, so that nothing is known of them
    and of what is below them. tensors: modules of which it reads tensors.
    """

    def __init__(self) -> None:
        self.called: set[nn.Module] = set()
        self.used: set[nn.Module] = set()
        self.tensors: set[nn.Module] = set()
        self._seen: set[Any] = set()

    def read(self, module: nn.Module, method: str = "forward") -> None:
        """Reads the method of `module`, and those that its class overrides by it."""
        if method in vars(module):
            self.used.add(module)
            return
        for cls in type(module).__mro__:
            function = vars(cls).get(method)
            if cls is not nn.Module and function is not None:
                self.follow(function, {0: frozenset({module})}, module)

    def follow(self, function: Any, given: dict[int | str, Modules], owner: nn.Module) -> None:
        """Reads a function that is given modules, by position or by name."""
        function = inspect.unwrap(getattr(function, "__func__", function))
        key = (function, frozenset(given.items()))
        if key in self._seen:
            return
        self._seen.add(key)
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
        except (OSError, TypeError, SyntaxError):  # not written in Python, or not in a file
            tree = None
        if not isinstance(tree, ast.FunctionDef) or not isinstance(function, FunctionType):
            self.used |= {owner, *_union(given.values())}
            return
        names = [one.arg for one in (*tree.args.posonlyargs, *tree.args.args)]
        values: dict[str, Modules] = {}
        for place, modules in given.items():
            if isinstance(place, int) and place >= len(names):
                self.used |= modules  # one of *args
            else:
                values[names[place] if isinstance(place, int) else place] = modules
        reader = _Reader(self, function.__globals__, values, owner)
        # What a later line puts into a variable may be read by an earlier one, in a loop.
        for _ in range(3):
            for statement in tree.body:
                reader.visit(statement)


class _Reader:
    """Reads statements; an expression gives the modules that its value may be or hold."""

    def __init__(
        self, reach: Reach, scope: dict[str, Any], values: dict[str, Modules], owner: nn.Module
    ) -> None:
        self.reach, self.scope, self.values, self.owner = reach, scope, values, owner

    def visit(self, node: ast.AST | None) -> Modules:
        if node is None:
            return _NONE
        special = getattr(self, f"_{type(node).__name__}", None)
        if special is not None:
            found: Modules = special(node)
            return found
        results = [self.visit(child) for child in ast.iter_child_nodes(node)]
        if isinstance(node, ast.Compare | ast.JoinedStr):
            return _NONE
        return _union(results) if isinstance(node, ast.expr) else _NONE

    def use(self, modules: Iterable[nn.Module]) -> None:
        self.reach.used.update(modules)

    def _Name(self, node: ast.Name) -> Modules:
        return self.values.get(node.id, _NONE)

    def _Attribute(self, node: ast.Attribute) -> Modules:
        if node.attr in _SIZES and isinstance(node.value, ast.Attribute):
            held = self.visit(node.value.value)
            tensors = [getattr(one, node.value.attr, None) for one in held]
            if held and all(isinstance(one, Tensor) for one in tensors):
                return _NONE
        return _union(self._attribute(one, node.attr) for one in self.visit(node.value))

    def _attribute(self, module: nn.Module, name: str) -> Modules:
        try:
            value = getattr(module, name, None)
        except Exception:  # of a property, whatever it computes
            self.use([module])
            return _NONE
        if isinstance(value, nn.Module):
            return frozenset({value})
        if isinstance(value, MethodType) and value.__self__ is module:
            # Bound, and called by whoever gets it.
            return self._method(module, name)
        if isinstance(value, Tensor):
            self.reach.tensors.add(module)
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            return frozenset(item for item in value if isinstance(item, nn.Module))
        return _NONE

    def _method(self, module: nn.Module, name: str) -> Modules:
        if name in ("forward", "__call__"):
            self.reach.called.add(module)
        elif name in _ITEMS:
            container = isinstance(module, _CONTAINERS)
            return frozenset({module} if container else module.children())
        elif not hasattr(nn.Module, name):
            self.reach.read(module, name)
        elif name not in ("train", "eval"):
            self.use([module])
        return _NONE

    def _Call(self, node: ast.Call) -> Modules:
        function = node.func
        name = getattr(function, "attr", getattr(function, "id", ""))
        if name == "super":
            return self.values.get("self", _NONE)
        called = self.visit(function)
        each: dict[int | str, Modules] = dict(enumerate(map(self.visit, node.args)))
        for word in node.keywords:
            each[word.arg or "**"] = self.visit(word.value)
        given = _union(each.values())
        # `self.blocks.items()` has the container itself for its value, and calls nothing.
        if isinstance(function, ast.Attribute) and name in _ITEMS and called:
            return called
        self.reach.called |= called
        if name == "getattr" and isinstance(function, ast.Name):
            return self._getattr(node, each.get(0, _NONE))
        if name in _PASSING:
            return _elements(given) if name == "next" else given
        if name.startswith("checkpoint"):  # of activations: it calls what it is given
            self.reach.called |= given | _elements(given)
        elif given and name not in _HARMLESS:
            self._give(node, given, each)
        return _NONE

    def _getattr(self, node: ast.Call, modules: Modules) -> Modules:
        name = node.args[1] if len(node.args) > 1 else None
        if isinstance(name, ast.Constant):
            return _union(self._attribute(module, str(name.value)) for module in modules)
        return _union(frozenset(module.children()) for module in modules)

    def _give(self, node: ast.Call, given: Modules, each: dict[int | str, Modules]) -> None:
        """A call of a function, which is read if it lies open, with modules for arguments."""
        plain = not any(isinstance(one, ast.Starred) for one in node.args) and "**" not in each
        function = None
        if isinstance(node.func, ast.Name) and node.func.id not in self.values:
            function = self.scope.get(node.func.id, vars(builtins).get(node.func.id))
        if not plain or not isinstance(function, FunctionType):
            self.use(given)
            return
        places = {place: modules for place, modules in each.items() if modules}
        self.reach.follow(function, places, self.owner)

    def _Subscript(self, node: ast.Subscript) -> Modules:
        self.visit(node.slice)
        modules = self.visit(node.value)
        index = node.slice.value if isinstance(node.slice, ast.Constant) else None
        for module in modules:
            if isinstance(module, nn.Sequential | nn.ModuleList) and isinstance(index, int):
                children = list(module)
                if len(modules) == 1 and -len(children) <= index < len(children):
                    return frozenset({children[index]})
        return _elements(modules)

    def _bind(self, target: ast.AST, modules: Modules) -> None:
        if isinstance(target, ast.Name):
            self.values[target.id] = self.values.get(target.id, _NONE) | modules
        elif isinstance(target, ast.Tuple | ast.List):
            for item in target.elts:
                self._bind(item, modules)
        elif isinstance(target, ast.Starred):
            self._bind(target.value, modules)
        elif modules:
            self.use(modules)  # kept somewhere else

    def _Assign(self, node: ast.Assign) -> Modules:
        value = self.visit(node.value)
        for target in node.targets:
            self._bind(target, value)
        return _NONE

    def _NamedExpr(self, node: ast.NamedExpr) -> Modules:
        value = self.visit(node.value)
        self._bind(node.target, value)
        return value

    def _For(self, node: ast.For) -> Modules:
        self._bind(node.target, _elements(self.visit(node.iter)))
        for statement in (*node.body, *node.orelse):
            self.visit(statement)
        return _NONE

    def _comprehension(self, node: ast.comprehension) -> Modules:
        self._bind(node.target, _elements(self.visit(node.iter)))
        for condition in node.ifs:
            self.visit(condition)
        return _NONE

    def _ListComp(self, node: Any) -> Modules:
        for generator in node.generators:
            self.visit(generator)
        return self.visit(node.elt)

    _GeneratorExp = _SetComp = _ListComp

    def _Return(self, node: ast.Return) -> Modules:
        self.use(self.visit(node.value))
        return _NONE

    _Yield = _YieldFrom = _Return


def _elements(modules: Iterable[nn.Module]) -> Modules:
    """What an iteration gives: the modules in containers; others came from a list of them."""
    found: set[nn.Module] = set()
    for module in modules:
        found |= set(module.children()) if isinstance(module, _CONTAINERS) else {module}
    return frozenset(found)


def _union(sets: Iterable[Modules]) -> Modules:
    return frozenset().union(*sets)
