"""The code that is here: the files that compute results, their hashes, and what each takes."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path

from normlab.errors import NormLabError
from normlab.norms.registry import declared_kinds
from normlab.records.code_hash import Code, module_code, trial_code, with_c_sources
from normlab.records.moves import ASIDE, SCORE_TRIALS, SET_ASIDE, Modules, computes, first_name
from normlab.records.places import EXPERIMENTS, PACKAGE

# Files, by first name, that choose others of their room by a name at run time: no import shows it.
NORM, MODEL = "norms/__init__.py", "models/__init__.py"
DATA, EVALUATION = "data/__init__.py", "evaluations.py"
CHOOSERS = frozenset({NORM, MODEL, DATA, EVALUATION})


class Tree:
    """A package with its experiments. Files go by their first names: see `moves`."""

    def __init__(self, package: Path, experiments: Path) -> None:
        self.package = package
        self.experiments = experiments
        self._modules = Modules(package)
        self._codes: dict[Path, Code] = {}
        self._trial_codes: dict[Path, Code | None] = {}
        self._closures: dict[frozenset[str], frozenset[str]] = {}

    @cached_property
    def files(self) -> Mapping[str, Path]:
        """Where each file lies whose code can change what a trial gives."""
        files = {}
        for path in sorted(self.package.rglob("*.py")):
            place = path.relative_to(self.package).as_posix()
            if computes(place) and place not in ASIDE:
                files[first_name(place)] = path
        return files

    @cached_property
    def trials(self) -> Mapping[str, Path]:
        """Where each experiment file lies that measures by itself, by what records call it."""
        folders = (self.package / SCORE_TRIALS, self.experiments)
        paths = [path for folder in folders for path in sorted(folder.rglob("[!_]*.py"))]
        named = {trial_name(path.stem): path for path in paths}
        return {name: path for name, path in named.items() if self._trial(path)}

    @cached_property
    def hashes(self) -> Mapping[str, str]:
        """Hash of all code that can change what a trial gives, by file."""
        hashes = {name: self._module(path).hash for name, path in self.files.items()}
        for declared in declared_kinds().values():  # a norm of one's own lies elsewhere
            if not declared.path.is_relative_to(PACKAGE):
                hashes[f"norms/{declared.path.name}"] = self._module(declared.path).hash
        for name, path in self.trials.items():
            hashes[name] = self._trial(path).hash  # type: ignore[union-attr]
        return {name: hashes[name] for name in sorted(hashes)}

    @cached_property
    def source(self) -> str:
        """12 hexadecimal digits that stand for all of it."""
        text = json.dumps(self.hashes, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def closure(self, roots: Iterable[str]) -> frozenset[str]:
        """`roots` and all files that they take from, in one step or several, anywhere in them.

        Of what they choose by name at run time only the chooser: one of `CHOOSERS`.
        """
        start = frozenset(roots)
        if start in self._closures:
            return self._closures[start]
        closed: set[str] = set()
        open_ = list(start)
        while open_:
            name = open_.pop()
            # A chooser stays in, though it may be set aside and have no hash: `staleness` must see
            # that something is chosen by name. All else without a hash ends the walk.
            if name in closed or not (name in CHOOSERS or name in self.hashes):
                continue
            closed.add(name)
            open_ += self._taken_by(name)
        self._closures[start] = frozenset(closed)
        return self._closures[start]

    def room(self, folder: str) -> tuple[str, ...]:
        """The files that lie in a folder of the package, now."""
        return self._rooms.get(folder, ())

    @cached_property
    def _rooms(self) -> Mapping[str, tuple[str, ...]]:
        rooms: dict[str, tuple[str, ...]] = {}
        for name, path in self.files.items():
            folder = path.parent.relative_to(self.package).as_posix()
            rooms[folder] = (*rooms.get(folder, ()), name)
        return rooms

    def is_gone(self, name: str) -> bool:
        """Whether no file here is what records call `name`."""
        return name not in self.hashes and name not in SET_ASIDE

    def place(self, name: str) -> str:
        """Where the file that records call `name` lies now, to be shown; `name` if it is gone."""
        path = self.trials.get(name) or self.files.get(name)
        if path is None:
            return name
        if name in self.trials and path.is_relative_to(self.experiments):
            return f"experiments/{path.relative_to(self.experiments).as_posix()}"
        return path.relative_to(self.package).as_posix()

    def _taken_by(self, name: str) -> frozenset[str]:
        if name in self.trials:
            code = self._trial(self.trials[name])
        elif name in self.files:
            code = self._module(self.files[name])
        else:
            code = None
        return code.modules if code else frozenset()

    def _module(self, path: Path) -> Code:
        # Parsing is what costs: each file once, for however many trials.
        if path not in self._codes:
            is_package = path.name == "__init__.py"
            with only_python(path):
                text = path.read_text(encoding="utf-8")
                code = module_code(text, self._modules, is_package=is_package)
            self._codes[path] = with_c_sources(code, path.parent)
        return self._codes[path]

    def _trial(self, path: Path) -> Code | None:
        if path not in self._trial_codes:
            with only_python(path):
                text = path.read_text(encoding="utf-8")
                self._trial_codes[path] = trial_code(text, self._modules)
        return self._trial_codes[path]


def trial_name(slug: str) -> str:
    """What records call the code of the trial of a claim, in whatever folder its file lies."""
    return f"experiments/{slug.replace('-', '_')}.py"


@cache
def here() -> Tree:
    """The code of this process."""
    return Tree(PACKAGE, EXPERIMENTS)


@contextmanager
def only_python(path: Path) -> Iterator[None]:
    """Inside, a file that is not Python ends in one sentence.

    Raises:
        NormLabError: instead of a SyntaxError, with the line of `path`.
    """
    try:
        yield
    except SyntaxError as error:
        raise NormLabError(
            f"{path}, line {error.lineno}: not Python ({error.msg}); correct the file."
        ) from None
