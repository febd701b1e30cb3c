"""The kinds of norm, read from their files without torch: configuration is checked within a second.

A kind is a class with the decorator `norm_kind` in a file of `normlab/norms/`, of the folder that
NORMLAB_NORMS names, or in a module that an installed package names in its entry points
`normlab.norms`. The options in `norm=<kind>` are the keywords of its `__init__`, with their types
and defaults.
"""

import ast
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, make_dataclass
from enum import Enum
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple, Optional

from normlab.errors import NormLabError

FOLDERS = [Path(__file__).resolve().parent]
if os.environ.get("NORMLAB_NORMS"):
    FOLDERS.append(Path(os.environ["NORMLAB_NORMS"]).resolve())

_TYPES: dict[str, type] = {"float": float, "int": int, "bool": bool, "str": str}
_NOT_OPTIONS = ("self", "num_features", "layout")


class Option(NamedTuple):
    """A keyword of a kind's `__init__`, its type and default as OmegaConf takes them."""

    name: str
    type: Any
    default: Any


@dataclass(frozen=True)
class DeclaredKind:
    """A kind as its file declares it."""

    path: Path
    options: tuple[Option, ...]
    module: str | None = None  # its name, where it is an installed package's


@cache
def declared_kinds() -> dict[str, DeclaredKind]:
    """Every kind by name.

    Raises:
        NormLabError: a kind declared twice, a file that is not Python, an option without a type
            or default that a configuration can hold, an entry point that leads to no file or to
            none that declares a kind.
    """
    files: dict[Path, EntryPoint | None] = {}
    for folder in FOLDERS:
        files |= dict.fromkeys(sorted(folder.glob("[!_]*.py")))
    for entry in entry_points(group="normlab.norms"):
        files[module_file(entry.module)] = entry
    kinds: dict[str, DeclaredKind] = {}
    for path, package in files.items():
        before = len(kinds)
        for node in _classes(path):
            kind = _kind_of(node)
            if kind is None:
                continue
            if kind in kinds:
                raise NormLabError(
                    f"norm {kind!r} is declared in {kinds[kind].path} and in {path}: rename one."
                )
            module = package.module if package else None
            kinds[kind] = DeclaredKind(path, tuple(_options(node, path)), module)
        if package and len(kinds) == before:
            raise NormLabError(
                f"the entry point {package.name} = {package.value} leads to {path}, where no class "
                "is declared by @norm_kind: name the module that holds it."
            )
    return kinds


def _classes(path: Path) -> list[ast.ClassDef]:
    try:
        tree = ast.parse(path.read_text())
    except SyntaxError as error:
        raise NormLabError(
            f"{path}, line {error.lineno}: not Python ({error.msg}); correct the file."
        ) from None
    return [node for node in tree.body if isinstance(node, ast.ClassDef)]


def _kind_of(node: ast.ClassDef) -> str | None:
    """The name that the decorator `norm_kind` gives a class, None where it has none."""
    for call in node.decorator_list:
        if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] == "norm_kind":
            return str(ast.literal_eval(call.args[0]))
    return None


def _options(node: ast.ClassDef, path: Path) -> Iterator[Option]:
    for name, annotation, default in _keywords(node):
        try:
            if default is None:
                raise ValueError("no default")
            yield _option(name, annotation, ast.literal_eval(default))
        except (KeyError, ValueError):
            raise NormLabError(
                f"{path}: option {name!r} of {node.name} needs a default and a type that a "
                f"configuration can hold: {', '.join(_TYPES)}, one of these | None, or Literal of "
                "names."
            ) from None


def _keywords(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr | None, ast.expr | None]]:
    """Name, annotation and default of the arguments of `__init__` that are options."""
    for item in node.body:
        if not isinstance(item, ast.FunctionDef) or item.name != "__init__":
            continue
        arguments = [*item.args.args, *item.args.kwonlyargs]
        # Defaults belong to the last of the positional arguments.
        without = len(item.args.args) - len(item.args.defaults)
        defaults = [*[None] * without, *item.args.defaults, *item.args.kw_defaults]
        for argument, default in zip(arguments, defaults, strict=True):
            if argument.arg not in _NOT_OPTIONS:
                yield argument.arg, argument.annotation, default


def _option(name: str, annotation: ast.expr | None, default: Any) -> Option:
    """Raises KeyError or ValueError for a type that a configuration cannot hold."""
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Literal":
        literal = ast.literal_eval(annotation.slice)
        names = literal if isinstance(literal, tuple) else (literal,)
        if default not in names:
            raise ValueError("the default is none of the names")
        enum = Enum(name, {value: value for value in names})  # type: ignore[misc]
        return Option(name, enum, enum[default])
    text = ast.unparse(annotation) if annotation is not None else ""
    plain = _TYPES[text.removesuffix(" | None")]
    return Option(name, Optional[plain] if text.endswith(" | None") else plain, default)


@cache
def options_schema(kind: str) -> type:
    """The dataclass of `norm=<kind>`, for Hydra: `kind`, then the options."""
    words = kind.split("_")
    name = f"{''.join(word.capitalize() for word in words)}Config"
    fields = [("kind", str, field(default=kind))]
    for option in declared_kinds()[kind].options:
        fields.append((option.name, option.type, field(default=option.default)))
    return make_dataclass(name, fields)


def module_file(name: str, where: str = "") -> Path:
    """Where the module `name` lies, without running it (the packages around it are run).

    `where`: what names it, the beginning of the sentence if it is not there.

    Raises:
        NormLabError: there is no such module on the import path or in the working folder, or a
            package around it cannot be imported.
    """
    if os.getcwd() not in sys.path:  # as `python` has it, and a console script has not
        sys.path.append(os.getcwd())
    spec = None
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        # Of the module itself and of a package around it, the sentence below says it.
        if not f"{name}.".startswith(f"{error.name}."):
            raise _failed_import(where or f"module {name!r}", error) from None
    except (Exception, SystemExit) as error:  # whatever a package of somebody else's raises
        raise _failed_import(where or f"module {name!r}", error) from None
    if spec is None or spec.origin is None:
        colon = f"{where}: " if where else ""
        raise NormLabError(f"{colon}no module {name!r} is on the import path or in this folder.")
    return Path(spec.origin)


def _failed_import(what: str, error: BaseException) -> NormLabError:
    return NormLabError(
        f"{what}: importing it raises {type(error).__name__}: {error}; install what is missing, "
        "correct it, or name another."
    )


def import_target(target: object) -> Any:
    """The class that `target`, a dotted path, names.

    Raises:
        NormLabError: none is given, it cannot be imported, or it cannot be called.
    """
    module, _, name = str(target or "").rpartition(".")
    if not module:
        raise NormLabError(
            f"norm=custom needs norm.target=my_package.my_module.MyNorm, not {target!r}."
        )
    module_file(module, f"norm.target={target}")
    try:
        imported = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a file of somebody else's raises
        raise _failed_import(f"norm.target={target}", error) from None
    found = getattr(imported, name, None)
    if found is None:
        raise NormLabError(f"norm.target={target}: module {module!r} has no {name!r}.")
    if not callable(found):
        raise NormLabError(
            f"norm.target={target} is a {type(found).__name__}: name a class of nn.Module."
        )
    return found
