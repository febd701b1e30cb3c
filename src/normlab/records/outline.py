"""A Python file without what cannot change a result, as text to be hashed. Standard library only.

Left out: comments, docstrings, layout, type annotations and what serves only them, assertions, the
words of errors, `__all__`, and imports. These are listed apart: where a name is imported changes
nothing, which name it is does.
"""

import ast
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

# Of every node: where a name is stored or read shows by its place, and the rest is typing.
_SKIPPED = frozenset(
    {"ctx", "kind", "type_comment", "type_ignores", "type_params", "annotation", "returns"}
)
# Heads of expressions that are types: `Values = Callable[[Evidence], float]` computes nothing.
_TYPES = frozenset(
    {"Annotated", "Callable", "ClassVar", "Iterable", "Iterator", "Literal", "Mapping", "Optional"}
    | {"Sequence", "Union", "dict", "frozenset", "list", "set", "tuple", "type"}
)
_TYPE_MAKERS = frozenset({"NewType", "ParamSpec", "TypeVar", "TypeVarTuple"})
_PLAIN_TYPES = frozenset({"bool", "bytes", "complex", "float", "int", "object", "str"}) | _TYPES
_TYPING = frozenset({"typing", "typing_extensions", "collections.abc"})  # modules of types
_TYPE_BASES = frozenset({"Protocol", "TypedDict"})  # classes without any code of their own


@dataclass(frozen=True)
class Import:
    """`from module import name as alias`; without `name`, `import module`."""

    alias: str
    module: str
    name: str | None


class Outline:
    """Texts of nodes, the names that they read, and what they import."""

    def __init__(self) -> None:
        self.read: set[str] = set()
        self.imports: list[Import] = []
        self._special: dict[type[ast.AST], Callable[..., str]] = {
            ast.Import: self._import,
            ast.ImportFrom: self._import_from,
            ast.FunctionDef: self._function,
            ast.AsyncFunctionDef: self._function,
            ast.ClassDef: self._class,
            ast.If: self._if,
            ast.Assign: self._assign,
            ast.AnnAssign: self._annotated,
            ast.Raise: self._raise,
            ast.Call: self._call,
            ast.Name: self._name,
            ast.Expr: self._expression,
            ast.Constant: lambda node: repr(node.value),
            ast.Assert: lambda node: "",
            ast.Pass: lambda node: "",
        }

    def text(self, node: ast.AST) -> str:
        """What of `node` counts; "" for nothing."""
        special = self._special.get(type(node))
        return special(node) if special else self._plain(node)

    def _plain(self, node: ast.AST) -> str:
        fields = []
        for name in node._fields:
            value = None if name in _SKIPPED else getattr(node, name, None)
            text = self._value(value)
            if text:
                fields.append(f"{name}={text}")
        return f"{type(node).__name__}({','.join(fields)})"

    def _value(self, value: object) -> str:
        # Skipped, or an optional field that is not given.
        if value is None:
            return ""
        if isinstance(value, ast.AST):
            return self.text(value)
        if isinstance(value, list):
            return self._texts(value)
        return repr(value)

    def _texts(self, nodes: Iterable[object]) -> str:
        # A place without a node keeps its separator: the key of `**more`, a default not given.
        texts = [("None" if node is None else self._value(node)) for node in nodes]
        kept = ";".join(text for text in texts if text)
        return f"[{kept}]" if kept else ""

    def _name(self, node: ast.Name) -> str:
        if isinstance(node.ctx, ast.Load):
            self.read.add(node.id)
        return f"Name({node.id})"

    def _expression(self, node: ast.Expr) -> str:
        # A docstring, or the `...` of an empty body: neither does anything.
        is_docstring = isinstance(node.value, ast.Constant)
        return "" if is_docstring else self._plain(node)

    def _import(self, node: ast.Import) -> str:
        for item in node.names:
            alias = item.asname or item.name.split(".")[0]
            self.imports.append(Import(alias, item.name, None))
        return ""

    def _import_from(self, node: ast.ImportFrom) -> str:
        module = "." * node.level + (node.module or "")
        for item in node.names:
            self.imports.append(Import(item.asname or item.name, module, item.name))
        return ""

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
        is_overload = any(_typing_name(item) == "overload" for item in node.decorator_list)
        return "" if is_overload else self._plain(node)

    def _class(self, node: ast.ClassDef) -> str:
        if any(_typing_name(base) in _TYPE_BASES for base in node.bases):
            return ""
        # `Generic[T]` tells type checkers only.
        bases = [base for base in node.bases if _typing_name(base) != "Generic"]
        # `x: int` is a field in a dataclass and says nothing anywhere else.
        has_fields = any(_last_name(base) == "NamedTuple" for base in bases) or any(
            _last_name(item) == "dataclass" for item in node.decorator_list
        )
        body: list[str] = []
        for item in node.body:
            bare = isinstance(item, ast.AnnAssign) and item.value is None
            if bare and has_fields:
                body.append(f"Field({ast.unparse(item.target)})")  # type: ignore[attr-defined]
            elif not bare:
                body.append(self.text(item))
        given = (bases, node.keywords, node.decorator_list)
        head = ",".join(self._value(list(nodes)) for nodes in given)
        return f"ClassDef({node.name},{head},[{';'.join(filter(None, body))}])"

    def _if(self, node: ast.If) -> str:
        if _typing_name(node.test) == "TYPE_CHECKING":
            # At run time the condition is false: only `else` is left.
            return self._texts(node.orelse)
        return self._plain(node)

    def _assign(self, node: ast.Assign) -> str:
        is_export = any(_last_name(target) == "__all__" for target in node.targets)
        if is_export or _is_type(node.value):
            return ""
        return f"Assign({self._texts(node.targets)}{self.text(node.value)})"

    def _annotated(self, node: ast.AnnAssign) -> str:
        if node.value is None or _typing_name(node.annotation) == "TypeAlias":
            return ""
        # As an assignment without annotation: to annotate a name changes no hash.
        return f"Assign({self._texts([node.target])}{self.text(node.value)})"

    def _raise(self, node: ast.Raise) -> str:
        # Its class may be what somebody catches; its words and its cause only explain.
        error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return f"Raise({_last_name(error)})"

    def _call(self, node: ast.Call) -> str:
        if _typing_name(node.func) == "cast" and len(node.args) == 2:
            # `cast(T, x)` is x.
            return self.text(node.args[1])
        return self._plain(node)


def _last_name(node: ast.AST | None) -> str:
    """`Protocol` of Protocol, typing.Protocol, Protocol[T] and Protocol(...)."""
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    if isinstance(node, ast.Subscript):
        return _last_name(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _typing_name(node: ast.AST | None) -> str:
    """`Protocol` of Protocol, typing.Protocol and Protocol[T]; "" of what only ends like that.

    `self.list` and `table.cast` belong to somebody else, and compute something.
    """
    if isinstance(node, ast.Subscript):
        return _typing_name(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr if ast.unparse(node.value) in _TYPING else ""
    return node.id if isinstance(node, ast.Name) else ""


def _is_type(node: ast.expr) -> bool:
    """Whether an expression names a type: a generic, a type variable, a union of such or None."""
    if isinstance(node, ast.Subscript):
        return _typing_name(node) in _TYPES
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        # One of them alone shows nothing: a name may be that of a value.
        sides = (node.left, node.right)
        shown = any(_is_type(side) or _is_none(side) for side in sides)
        return shown and all(map(_may_be_type, sides))
    return isinstance(node, ast.Call) and _typing_name(node.func) in _TYPE_MAKERS


def _may_be_type(node: ast.expr) -> bool:
    """Of a side of `|`: None, a type, or a name that is written as types are."""
    name = _last_name(node) if isinstance(node, ast.Name | ast.Attribute) else ""
    is_class = name[:1].isupper() and not (name.isupper() and len(name) > 1)
    return is_class or name in _PLAIN_TYPES or _is_none(node) or _is_type(node)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


class Outlined(NamedTuple):
    """A whole file: what of it counts, the names that it reads, and what it imports."""

    text: str
    read: frozenset[str]
    imports: tuple[Import, ...]


@cache
def outline_of(text: str) -> Outlined:
    """The file whose content is `text`; of the same text once in a process, since it costs.

    Raises:
        SyntaxError: `text` is not Python.
    """
    outline = Outline()
    body = outline.text(ast.parse(text))
    return Outlined(body, frozenset(outline.read), tuple(outline.imports))


def used(imports: Iterable[Import], read: Collection[str]) -> list[Import]:
    """Those by whose names something is read.

    `import normlab.x` is there for what it does, not for its name.
    """
    return [item for item in imports if item.alias in read or item.alias in ("*", "normlab")]
