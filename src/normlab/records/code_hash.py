"""The hash of the code of a file, or of a claim's trial in it, and what of ours it takes from.

Hash version 2. Version 1 is `file_hash`, which keys of recorded trials hold.
"""

import ast
import hashlib
import re
import symtable
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from normlab.errors import NormLabError
from normlab.records.moves import SET_ASIDE, Modules
from normlab.records.outline import Import, Outline, outline_of

STATEMENT = "CLAIM"  # what an experiment file assigns; all else in it serves the trial or the rules
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class Code:
    """What a piece of code is, and which other code it needs."""

    hash: str  # 8 hexadecimal digits
    modules: frozenset[str]  # files of ours, by first name, that it takes something from


def module_code(text: str, modules: Modules, *, is_package: bool = False) -> Code:
    """The code of a whole file.

    A package's `__init__` hands on what it imports, so that all of that counts as used.

    Raises:
        SyntaxError: `text` is not Python.
    """
    outline = outline_of(text)
    imports = outline.imports if is_package else _used(outline.imports, outline.read)
    return _code([outline.text], imports, modules)


def with_c_sources(code: Code, folder: Path) -> Code:
    """The code of a Python file with that of the C files beside it, without their comments."""
    sources = [file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.[ch]"))]
    if not sources:
        return code
    bare = [" ".join(re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL).split()) for text in sources]
    return replace(
        code, hash=hashlib.sha256("\n".join([code.hash, *bare]).encode()).hexdigest()[:8]
    )


def trial_code(text: str, modules: Modules) -> Code | None:
    """What of an experiment file measures: the claim's `trial`, and what of the file that needs.

    Statement, caveats, parts, rules and arms are left out, and definitions that only those read.
    None for a claim without a trial of its own.

    Raises:
        SyntaxError: `text` is not Python.
    """
    return _argument_code(text, "trial", modules)


def clauses_code(text: str, modules: Modules) -> Code | None:
    """What of an experiment file decides: the claim's `clauses`, and what of the file they need.

    None for a file without any.

    Raises:
        SyntaxError: `text` is not Python.
    """
    return _argument_code(text, "clauses", modules)


def _argument_code(text: str, name: str, modules: Modules) -> Code | None:
    """What the claim of a file is given as `name`, and what of the file that needs."""
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
            imports += _used(statement.imports, read)
        elif statement in needed:
            # What a function imports, it reads by names of its own; all else, as the `try` around
            # an import, is of the whole file.
            own = statement.is_definition
            imports += _used(statement.imports, statement.local if own else read)
    texts += [statement.text for statement in needed]
    return _code(texts, imports, modules)


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


def _used(imports: Iterable[Import], read: Collection[str]) -> list[Import]:
    """`import normlab.x` is there for what it does, not for its name."""
    return [item for item in imports if item.alias in read or item.alias in ("*", "normlab")]


def _code(texts: Iterable[str], imports: Iterable[Import], modules: Modules) -> Code:
    lines: set[str] = set()
    taken: set[str] = set()
    for item in imports:
        # What is not ours stays as it is written, `numpy` say, and is no file.
        module, name = modules.origin(item.module, item.name)
        if module.endswith(".py"):
            taken.add(module)
        # Of ours that compute nothing only the name counts, so that they may change freely.
        shown = "normlab" if module in SET_ASIDE else module
        lines.add(f"{item.alias} = {shown} {name or ''}")
    # Sorted: where in a file a name is imported, and in which order, changes no result.
    content = "\n".join([*sorted(lines), *texts])
    return Code(hashlib.sha256(content.encode()).hexdigest()[:8], frozenset(taken))


def file_hash(path: Path) -> str:
    """Hash version 1 of a Python file: of its code, comments, docstrings and layout aside.

    Keys of recorded trials hold it for norms that lie outside this package, so it stays as it is:
    8 hexadecimal digits.

    Raises:
        NormLabError: it is not Python.
    """
    try:
        return version_1(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise NormLabError(
            f"{path}, line {error.lineno}: not Python ({error.msg}); correct the file."
        ) from None


def version_1(text: str) -> str:
    """The hash of version 1."""
    tree = ast.parse(text)
    # A body that begins with `...` loses it, too: recorded keys hold hashes made like that.
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            body.pop(0)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:8]


def _is_docstring(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
