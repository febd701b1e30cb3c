"""What a claim is given as `trial` or `clauses`, and what of its file that needs. Standard library
only."""

import ast
import symtable
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

from normlab.records.outline import Import, Outline, used

STATEMENT = "CLAIM"  # what an experiment file assigns; all else in it serves the trial or the rules
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Argument(NamedTuple):
    """The outlines of the argument and of the statements that it needs, and what these import."""

    texts: tuple[str, ...]
    imports: tuple[Import, ...]


@cache
def argument_of(text: str, name: str) -> Argument | None:
    """What the claim of the file whose content is `text` is given as `name`; None if it is not.

    Of the same text once in a process, since it costs.

    Raises:
        SyntaxError: `text` is not Python.
    """
    tree = ast.parse(text)
    given = _argument(tree, name)
    if given is None:
        return None
    outline = Outline()
    texts = [outline.text(given)]
    # Which names of a function are the file's own: symtable knows, ast alone does not.
    scopes = _module_names_read(text)
    statements = [_Statement(node, scopes) for node in tree.body]
    needed = _needed(statements, outline.read)
    read = outline.read.union(*(statement.read for statement in needed))
    imports: list[Import] = []
    for statement in statements:
        if statement.is_import:
            imports += used(statement.imports, read)
        elif statement in needed:
            # What a function imports, it reads by names of its own; all else, as the `try` around
            # an import, is of the whole file.
            own = statement.is_definition
            imports += used(statement.imports, statement.local if own else read)
    texts += [statement.text for statement in needed]
    return Argument(tuple(texts), tuple(imports))


class _Statement:
    """One statement of a file's outermost level."""

    def __init__(self, node: ast.stmt, scopes: Mapping[int, frozenset[str]]) -> None:
        outline = Outline()
        self.text = outline.text(node)
        self.imports = outline.imports
        self.is_import = isinstance(node, ast.Import | ast.ImportFrom)
        self.is_definition = isinstance(node, _DEFINITIONS)
        self.names = _defined(node)
        self.local = frozenset(outline.read)
        self.read = self.local
        if isinstance(node, _DEFINITIONS):
            # A name that a function binds itself is not the file's, whatever else has that name.
            self.read = (self.local & scopes.get(node.lineno, self.local)) | _read_by_head(node)


def _needed(statements: Iterable[_Statement], names: Iterable[str]) -> list[_Statement]:
    """Those that define `names`, or what these read, and those that define nothing, in order."""
    statements = [statement for statement in statements if not statement.is_import]
    wanted = set(names)
    needed: set[_Statement] = set()
    # Until nothing is added: what is needed may read what stands anywhere else in the file.
    grown = True
    while grown:
        found = [one for one in statements if not one.names or one.names & wanted]
        grown = len(found) > len(needed)
        needed = set(found)
        wanted = wanted.union(*(one.read for one in found))
    return [statement for statement in statements if statement in needed]


def _argument(tree: ast.Module, name: str) -> ast.expr | None:
    """What the file's claim is given as `name`."""
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or _defined(node) != {STATEMENT}:
            continue
        if isinstance(node.value, ast.Call):
            return next((one.value for one in node.value.keywords if one.arg == name), None)
    return None


def _defined(node: ast.stmt) -> set[str]:
    """The names that a statement defines or changes; none for one that only does something."""
    if isinstance(node, _DEFINITIONS):
        return {node.name}
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = [node.target]
    names: set[str] = set()
    # `SIZES` of `SIZES[0] = 3`, too: whoever reads SIZES needs that line.
    for target in targets:
        names |= {part.id for part in ast.walk(target) if isinstance(part, ast.Name)}
    return names


def _read_by_head(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> set[str]:
    """The names that decorators, defaults and bases read: they run outside of what they head."""
    parts: list[ast.expr | None] = [*node.decorator_list]
    if isinstance(node, ast.ClassDef):
        parts += [*node.bases, *(keyword.value for keyword in node.keywords)]
    else:
        parts += [*node.args.defaults, *node.args.kw_defaults]
    outline = Outline()
    for part in parts:
        if part is not None:
            outline.text(part)
    return outline.read


def _module_names_read(text: str) -> dict[int, frozenset[str]]:
    """The names of the file that each of its functions and classes reads, by the line of these."""
    table = symtable.symtable(text, "", "exec")
    return {child.get_lineno(): frozenset(_globals(child)) for child in table.get_children()}


def _globals(table: symtable.SymbolTable) -> set[str]:
    names = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
    # A comprehension or an inner function reads names of the file as well.
    return names.union(*(_globals(child) for child in table.get_children()))
