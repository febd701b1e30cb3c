"""A record: what one trial was, and what was measured. Standard library only."""

import ast
import contextlib
import hashlib
import json
import math
import subprocess
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from normlab.errors import NormLabError
from normlab.norms.registry import declared_kinds, module_file
from normlab.records.files import write_atomically
from normlab.records.places import CHECKOUT, PACKAGE

# Files whose code decides what a trial computes; which of them a given trial uses is worked out in claims/sources.py.
_COMPUTES = ("norms/*.py", "models/*.py", "data/*.py", "training/*.py", "reparam.py")
# ... but for what only finds, checks, watches, stores or divides.
ASIDE = {
    "data/__init__.py",
    "data/availability.py",
    "data/cache.py",
    "data/hub.py",
    "data/options.py",
    "norms/__init__.py",
    "training/__init__.py",
    "training/callbacks.py",
    "training/checkpoint.py",
    "training/loggers.py",
    "training/parallel.py",  # of several processes, of which recorded trials have none
    "training/probes.py",
}

# What says where a trial runs or what it leaves behind, not what is computed.
_NOT_IN_KEY = {
    "logger": None,
    "probes": None,
    "claim": None,
    "arm": None,
    "stage": None,
    "trainer": {"progress", "checkpoint_every", "resume", "threads", "chunk_steps", "timeout_s"},
}

_WHOLE = (
    ("norm", "options"),
    ("options", "norm"),
)  # what a custom norm, and a trial of a layer, are given


def trial_key(config: dict[str, Any]) -> str:
    """16 hexadecimal digits that name a trial by its resolved configuration.

    Leaves that are null, false or empty stay out: a knob that is added later, with one of these for "as before",
    leaves every key that was recorded earlier as it was. What a norm is given stays whole: there a false is a choice.
    The code of `norm=custom`'s class belongs to the key: once edited it is another norm.
    """
    kept: dict[str, Any] = {}
    for group, value in config.items():
        left_out = _NOT_IN_KEY.get(group, set())
        if left_out is None:
            continue
        kept[group] = (
            {k: v for k, v in value.items() if k not in left_out}
            if isinstance(value, dict)
            else value
        )
    with contextlib.suppress(NormLabError):  # no such class: the trial will say so
        kept |= {"code": code} if (code := target_hash(config.get("norm") or {})) else {}
    return hashlib.sha256(json.dumps(_without_empty(kept), sort_keys=True).encode()).hexdigest()[
        :16
    ]


def _without_empty(value: Any, path: tuple[str, ...] = ()) -> Any:
    if not isinstance(value, dict) or path in _WHOLE:
        return value
    kept = {k: v for k, v in value.items() if v is not None and v is not False and v != []}
    return {k: _without_empty(v, (*path, k)) for k, v in kept.items()}


@dataclass
class Record:
    """One trial. `status` is ok, diverged, failed or timeout; `metrics` holds finite numbers or null."""

    key: str
    config: dict[str, Any]
    claim: str | None = None
    arm: str | None = None
    seed: int = 0
    stage: str | None = None
    status: str = "failed"
    message: str = ""  # why, unless ok
    metrics: dict[str, Any] = field(default_factory=dict)
    curve: dict[str, list[Any]] = field(default_factory=dict)
    probes: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    device: str = ""
    data: dict[str, str] = field(default_factory=dict)
    code: dict[str, Any] = field(default_factory=dict)
    steps: int = 0
    samples: int = 0
    duration_s: float = 0.0
    started: str = ""

    def to_json(self) -> str:
        """One line of strict JSON: NaN and infinities become null."""
        return json.dumps(_finite(asdict(self)), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Record":
        return cls(**json.loads(text))

    def write(self, path: Path) -> None:
        """Replace `path` in one step, so that a killed run leaves the old file or the new one, never half of one."""
        write_atomically(path, self.to_json() + "\n")

    @classmethod
    def read(cls, path: Path) -> "Record | None":
        """The record at `path`, or None if there is none or it is damaged."""
        try:
            return cls.from_json(path.read_text())
        except (OSError, ValueError, TypeError):
            return None


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@cache
def code_state() -> dict[str, Any]:
    """{git, dirty, source}: the commit of this checkout (null outside one), whether its source was changed since, and
    the hash of the code that computes results."""

    def git(*arguments: str) -> str | None:
        if CHECKOUT is None:  # an installed package may lie in somebody else's repository
            return None
        try:
            done = subprocess.run(
                ["git", "-C", str(CHECKOUT), *arguments], capture_output=True, text=True, timeout=10
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    changed = git(
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        "src",
        "conf",
        "experiments",
        "train.py",
    )
    source = hashlib.sha256(json.dumps(source_hashes(), sort_keys=True).encode()).hexdigest()[:12]
    return {
        "git": git("rev-parse", "HEAD"),
        "dirty": None if changed is None else bool(changed),
        "source": source,
    }


@cache
def source_hashes() -> dict[str, str]:
    """Hash of each file that decides what a trial computes, comments and docstrings aside."""
    files = sorted(path for pattern in _COMPUTES for path in PACKAGE.glob(pattern))
    hashes = {str(path.relative_to(PACKAGE)): code_hash(path) for path in files}
    for declared in declared_kinds().values():  # a norm of one's own lies elsewhere
        hashes.setdefault(f"norms/{declared.path.name}", code_hash(declared.path))
    return {name: value for name, value in hashes.items() if name not in ASIDE}


def target_hash(norm: dict[str, Any]) -> dict[str, str]:
    """{target: hash of its file} for `norm=custom`, which lies outside the package; {} for any other norm."""
    target = norm.get("target")
    return {target: code_hash(module_file(target.rpartition(".")[0]))} if target else {}


def code_hash(path: Path) -> str:
    """8 hexadecimal digits of a Python file's code, comments, docstrings and layout aside.

    Raises:
        NormLabError: it is not Python.
    """
    try:
        tree = ast.parse(path.read_text())
    except SyntaxError as error:
        raise NormLabError(
            f"{path}, line {error.lineno}: not Python ({error.msg}); correct the file."
        ) from None
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            body.pop(0)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:8]
