"""The kinds of norm, read from their files without importing torch: configuration must be checked within a second.

A kind is a class with the decorator `norm_kind` in a file of `normlab/norms/`, or of the folder that NORMLAB_NORMS
names. The options in `norm=<kind>` are the keywords of its `__init__`, with their types and defaults.
"""

import ast
import os
from dataclasses import dataclass, field, make_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Optional

from normlab.errors import NormLabError, choices

FOLDERS = [Path(__file__).resolve().parent / "norms"]
if os.environ.get("NORMLAB_NORMS"):
    FOLDERS.append(Path(os.environ["NORMLAB_NORMS"]).resolve())

_TYPES: dict[str, type] = {"float": float, "int": int, "bool": bool, "str": str}
_NOT_OPTIONS = ("self", "num_features", "layout")


@dataclass(frozen=True)
class Declared:
    """A kind as its file declares it."""

    path: Path
    options: tuple[tuple[str, Any, Any], ...]  # name, type, default


@cache
def declared_kinds() -> dict[str, Declared]:
    """Every kind by name.

    Raises:
        NormLabError: a kind declared twice, a file that is not Python, an option without a type or default that a
            configuration can hold.
    """
    kinds: dict[str, Declared] = {}
    for path in (file for folder in FOLDERS for file in sorted(folder.glob("[!_]*.py"))):
        try:
            classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
        except SyntaxError as error:
            raise NormLabError(f"{path}, line {error.lineno}: not Python ({error.msg}); correct the file.") from None
        for node in classes:
            kind = _kind_of(node)
            if kind is None:
                continue
            if kind in kinds:
                raise NormLabError(f"norm {kind!r} is declared in {kinds[kind].path} and in {path}: rename one.")
            kinds[kind] = Declared(path, tuple(_options(node, path)))
    return kinds


@cache
def options_schema(kind: str) -> type:
    """The dataclass of `norm=<kind>`, for Hydra: `kind`, then the options."""
    name = f"{''.join(part.capitalize() for part in kind.split('_'))}Config"
    options = [
        (option, annotation, field(default=value)) for option, annotation, value in declared_kinds()[kind].options
    ]
    return make_dataclass(name, [("kind", str, field(default=kind)), *options])


def _kind_of(node: ast.ClassDef) -> str | None:
    for call in node.decorator_list:
        if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] == "norm_kind":
            return str(ast.literal_eval(call.args[0]))
    return None


def _options(node: ast.ClassDef, path: Path) -> list[tuple[str, Any, Any]]:
    init = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
    if not init:
        return []
    arguments = [*init[0].args.args, *init[0].args.kwonlyargs]
    defaults = [*init[0].args.defaults, *init[0].args.kw_defaults]
    values = dict(zip([item.arg for item in arguments][len(arguments) - len(defaults) :], defaults, strict=True))
    options = []
    for item in arguments:
        if item.arg in _NOT_OPTIONS:
            continue
        try:
            default = ast.literal_eval(values[item.arg])  # type: ignore[arg-type]
            options.append((item.arg, *_typed(item.annotation, default, item.arg)))
        except (KeyError, ValueError):
            raise NormLabError(
                f"{path}: option {item.arg!r} of {node.name} needs a default and a type that a configuration can hold: "
                f"{', '.join(_TYPES)}, one of these | None, or Literal of names."
            ) from None
    return options


def _typed(annotation: ast.expr | None, default: Any, name: str) -> tuple[Any, Any]:
    """(type, default) as OmegaConf takes them."""
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Literal":
        listed = ast.literal_eval(annotation.slice)
        names = listed if isinstance(listed, tuple) else (listed,)
        if default not in names:
            raise choices(name, default, names)
        enum = Enum(name, {value: value for value in names})  # type: ignore[misc]
        return enum, enum[default]
    text = ast.unparse(annotation) if annotation is not None else ""
    optional = text.endswith(" | None")
    annotated = _TYPES[text.removesuffix(" | None")]
    return (Optional[annotated] if optional else annotated), default
