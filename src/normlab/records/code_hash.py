"""The hash of the code of a file, or of a claim's trial in it, and what of ours it takes from.

Hash version 2. Version 1 is `file_hash`, which keys of recorded trials hold.
"""

import ast
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from normlab.errors import NormLabError
from normlab.records.argument import argument_of
from normlab.records.moves import SET_ASIDE, Modules
from normlab.records.outline import Import, outline_of, used


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
    imports = outline.imports if is_package else used(outline.imports, outline.read)
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
    found = argument_of(text, name)
    return None if found is None else _code(found.texts, found.imports, modules)


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
