"""The kinds of norm, read from their files without importing torch: configuration must be checked within a second.

A kind is a class with the decorator `norm_kind` in a file of `normlab/norms/`, of the folder that NORMLAB_NORMS names,
or in a module that an installed package names in its entry points `normlab.norms`. The options in `norm=<kind>` are the
keywords of its `__init__`, with their types and defaults.
"""

import ast
import importlib
import importlib.metadata
import importlib.util
import os
import sys
from dataclasses import dataclass, field, make_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Optional

from normlab.errors import NormLabError, choices

FOLDERS = [Path(__file__).resolve().parent]
if os.environ.get("NORMLAB_NORMS"):
    FOLDERS.append(Path(os.environ["NORMLAB_NORMS"]).resolve())

_TYPES: dict[str, type] = {"float": float, "int": int, "bool": bool, "str": str}
_NOT_OPTIONS = ("self", "num_features", "layout")


@dataclass(frozen=True)
class Declared:
    """A kind as its file declares it."""

    path: Path
    options: tuple[tuple[str, Any, Any], ...]  # name, type, default
    module: str | None = None  # its name, where it is an installed package's


@cache
def declared_kinds() -> dict[str, Declared]:
    """Every kind by name.

    Raises:
        NormLabError: a kind declared twice, a file that is not Python, an option without a type or default that a
            configuration can hold, an entry point that leads to no file.
    """
    kinds: dict[str, Declared] = {}
    files: dict[Path, str | None] = {
        file: None for folder in FOLDERS for file in sorted(folder.glob("[!_]*.py"))
    }
    entries = {
        module_file(entry.module): entry
        for entry in importlib.metadata.entry_points(group="normlab.norms")
    }
    for path, module in (files | {path: entry.module for path, entry in entries.items()}).items():
        before = len(kinds)
        try:
            classes = [
                node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)
            ]
        except SyntaxError as error:
            raise NormLabError(
                f"{path}, line {error.lineno}: not Python ({error.msg}); correct the file."
            ) from None
        for node in classes:
            kind = _kind_of(node)
            if kind is None:
                continue
            if kind in kinds:
                raise NormLabError(
                    f"norm {kind!r} is declared in {kinds[kind].path} and in {path}: rename one."
                )
            kinds[kind] = Declared(path, tuple(_options(node, path)), module)
        if module is not None and len(kinds) == before:
            entry = entries[path]
            raise NormLabError(
                f"the entry point {entry.name} = {entry.value} leads to {path}, where no class is declared by "
                "@norm_kind: name the module that holds it."
            )
    return kinds


def module_file(name: str) -> Path:
    """Where the module `name` lies, without running it (the packages around it are run).

    Raises:
        NormLabError: there is no such module on the import path or in the working folder.
    """
    if os.getcwd() not in sys.path:  # as `python` has it, and a console script has not
        sys.path.append(os.getcwd())
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        raise NormLabError(f"no module {name!r} is on the import path or in this folder.")
    return Path(spec.origin)


def import_target(target: str | None) -> Any:
    """The class that `target`, a dotted path, names.

    Raises:
        NormLabError: none is given, or it cannot be imported.
    """
    module, _, name = (target or "").rpartition(".")
    if not module:
        raise NormLabError(
            f"norm=custom needs norm.target=my_package.my_module.MyNorm, not {target!r}."
        )
    module_file(module)
    try:
        imported = importlib.import_module(module)
    except Exception as error:  # whatever a file of somebody else's raises
        raise NormLabError(
            f"norm.target={target}: importing it raises {type(error).__name__}: {error}."
        ) from None
    if not hasattr(imported, name):
        raise NormLabError(f"norm.target={target}: module {module!r} has no {name!r}.")
    return getattr(imported, name)


@cache
def options_schema(kind: str) -> type:
    """The dataclass of `norm=<kind>`, for Hydra: `kind`, then the options."""
    name = f"{''.join(part.capitalize() for part in kind.split('_'))}Config"
    options = [
        (option, annotation, field(default=value))
        for option, annotation, value in declared_kinds()[kind].options
    ]
    return make_dataclass(name, [("kind", str, field(default=kind)), *options])


def _kind_of(node: ast.ClassDef) -> str | None:
    for call in node.decorator_list:
        if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] == "norm_kind":
            return str(ast.literal_eval(call.args[0]))
    return None


def _options(node: ast.ClassDef, path: Path) -> list[tuple[str, Any, Any]]:
    init = [
        item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"
    ]
    if not init:
        return []
    arguments = [*init[0].args.args, *init[0].args.kwonlyargs]
    defaults = [*init[0].args.defaults, *init[0].args.kw_defaults]
    values = dict(
        zip(
            [item.arg for item in arguments][len(arguments) - len(defaults) :],
            defaults,
            strict=True,
        )
    )
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
