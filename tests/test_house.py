"""The house: rooms in order, nothing loose, and files that a person can read."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "normlab"
# An import goes to a room before its own, or stays.
ROOMS = (
    "errors", "norms", "models", "data", "records", "config", "training", "tools", "measure",
    "claims", "score", "report", "train", "cli",
)  # fmt: skip
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


def imported(path):
    """The rooms that a file imports from, wherever in the file; not what only types name."""
    tree = ast.parse(path.read_text())
    for node in list(ast.walk(tree)):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("normlab"):
            names = [node.module] if node.module != "normlab" else [a.name for a in node.names]
            yield from (name.removeprefix("normlab.").split(".")[0] for name in names)
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("normlab.")]
            yield from (name.split(".")[1] for name in names)


def test_the_root_holds_two_files():
    assert sorted(path.name for path in PACKAGE.glob("*.py")) == ["__init__.py", "errors.py"]


def test_every_folder_is_a_room_with_a_sentence():
    folders = {path.parent for path in FILES}
    rooms = {folder.relative_to(PACKAGE).parts[0] for folder in folders}
    assert rooms == set(ROOMS) - {"errors"}
    for folder in folders:
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text())), folder


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_or_stay(path):
    own = ROOMS.index(path.relative_to(PACKAGE).parts[0])
    up = {room for room in imported(path) if ROOMS.index(room) > own}
    assert not up, f"{path.relative_to(PACKAGE)} imports from {', '.join(sorted(up))}, above it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 270
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = node.end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 50, f"{node.name} has {length} lines"
