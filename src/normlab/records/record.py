"""A record: what one trial was, and what was measured. Standard library only."""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

from normlab.errors import NormLabError
from normlab.norms.registry import declared_kinds, module_file
from normlab.records.code_hash import file_hash
from normlab.records.files import write_atomically
from normlab.records.json_values import Json, JsonObject, finite

SCHEMA = 2  # of records that are written now; a line without a schema is version 1

Metrics: TypeAlias = dict[str, float | None]


class DataSource(TypedDict, total=False):
    """Which data a trial read: a name, and a hash of the content and of how it was split."""

    name: str
    fingerprint: str


class CodeState(TypedDict, total=False):
    """Which code ran. Outside a checkout there is no commit."""

    git: str | None
    dirty: bool | None  # whether files had been changed since the commit
    source: str  # see normlab.records.provenance


# What says where a trial runs or what it leaves behind, not what is computed.
_GROUPS_NOT_IN_KEY = {"logger", "probes", "claim", "arm", "stage"}
_NOT_IN_KEY = {
    "trainer": {"progress", "checkpoint_every", "resume", "threads", "chunk_steps", "timeout_s"}
}
# What is as before a knob was added, and stays out of a key like what is empty.
_AS_BEFORE: dict[tuple[str, ...], str] = {("optim", "decay_norm"): "none"}
# What a custom norm, and a trial of a layer, are given.
_WHOLE = (("norm", "options"), ("options", "norm"))
# Options that kinds got after trials of them had been recorded. They stay out of a key where they
# have their default, and belong to it where they have not, a false as well.
_AFFINE = frozenset({"affine", "bias"})
_LATER_OPTIONS = {
    **dict.fromkeys(("batchnorm", "syncbatchnorm"), _AFFINE | {"track_running_stats"}),
    **dict.fromkeys(("batchrenorm", "causal_batchnorm", "groupnorm"), _AFFINE),
    "instancenorm": _AFFINE | {"track_running_stats", "momentum"},
    **dict.fromkeys(("layernorm", "channel_layernorm", "frn", "dyt", "derf"), _AFFINE),
    "rmsnorm": frozenset({"affine"}),
}


def counted(config: Mapping[str, Json]) -> JsonObject:
    """What of a configuration says what is computed, without what is kept of it, and where."""
    kept: JsonObject = {}
    for group, value in config.items():
        if group in _GROUPS_NOT_IN_KEY:
            continue
        left_out = _NOT_IN_KEY.get(group, set())
        if isinstance(value, dict):
            kept[group] = {name: item for name, item in value.items() if name not in left_out}
        else:
            kept[group] = value
    return kept


def trial_key(config: Mapping[str, Json]) -> str:
    """16 hexadecimal digits that name a trial by its resolved configuration: `hash_of` what
    `key_parts` leaves of it."""
    return hash_of(key_parts(config))


def key_parts(config: Mapping[str, Json]) -> JsonObject:
    """What of a configuration belongs to a trial's key.

    Leaves that are null, false or empty stay out: a knob that is added later, with one of these
    for "as before", leaves every key that was recorded earlier as it was; _LATER_OPTIONS are those
    of norms with another value for it. What a custom norm is given stays whole: there a false is a
    choice. The code of `norm=custom`'s class belongs to the key:
    once edited it is another norm.
    """
    kept = counted(config)
    with contextlib.suppress(NormLabError):  # no such class: the trial will say so
        norm = config.get("norm")
        code = target_hash(norm if isinstance(norm, dict) else {})
        if code:
            kept["code"] = {**code}
    node: Any = _without_empty(kept)
    norm = config.get("norm")
    if isinstance(norm, dict) and norm.get("kind") in _LATER_OPTIONS:
        node["norm"] = _with_later_options(node["norm"], norm)
    return dict(node)


def hash_of(parts: Mapping[str, Json]) -> str:
    """16 hexadecimal digits of the parts of a key, whatever their order."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without_empty(value: Json, path: tuple[str, ...] = ()) -> Json:
    if not isinstance(value, dict) or path in _WHOLE:
        return value
    kept = {}
    for name, item in value.items():
        # `is`, since 0 == False: a zero is a value that somebody chose.
        empty = item is None or item is False or item == []
        as_before = item is not None and item == _AS_BEFORE.get((*path, name))
        if not empty and not as_before:
            kept[name] = _without_empty(item, (*path, name))
    return kept


def _with_later_options(kept: JsonObject, norm: JsonObject) -> JsonObject:
    """The part `kept` of `norm`, without those of its later options that have their default."""
    kind = str(norm["kind"])
    defaults = {option.name: option.default for option in declared_kinds()[kind].options}
    later = _LATER_OPTIONS[kind] & norm.keys()
    result = {name: item for name, item in kept.items() if name not in later}
    return result | {name: norm[name] for name in later if norm[name] != defaults[name]}


def target_hash(norm: Mapping[str, Json]) -> dict[str, str]:
    """{target: hash of its file} for `norm=custom`, which lies outside the package; else {}.

    Raises:
        NormLabError: its module cannot be found, or is not Python.
    """
    target = norm.get("target")
    if not target:
        return {}
    module = str(target).rpartition(".")[0]
    return {str(target): file_hash(module_file(module, f"norm.target={target}"))}


@dataclass
class Record:
    """One trial."""

    key: str
    config: JsonObject
    claim: str | None = None
    arm: str | None = None
    seed: int = 0
    stage: str | None = None  # tune | evaluate
    status: str = "failed"  # ok | diverged | failed | timeout
    message: str = ""  # why, unless ok
    metrics: Metrics = field(default_factory=dict)
    # By name: one value for each logged step, `step` among them.
    curve: dict[str, list[float | None]] = field(default_factory=dict)
    probes: list[JsonObject] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    device: str = ""
    data: DataSource = field(default_factory=DataSource)
    code: CodeState = field(default_factory=CodeState)
    steps: int = 0
    samples: int = 0
    duration_s: float = 0.0  # of the whole trial, its evaluations included
    started: str = ""
    schema: int = SCHEMA

    def section(self, name: str) -> JsonObject:
        """A group of the configuration, such as `norm` or `data`; empty where there is none."""
        group = self.config.get(name)
        return group if isinstance(group, dict) else {}

    def to_json(self) -> str:
        """One line of strict JSON: NaN and infinities become null."""
        return json.dumps(finite(asdict(self)), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """Of any schema up to today's.

        Raises:
            NormLabError: a later schema.
            ValueError, TypeError: it is not a record.
        """
        fields = json.loads(text)
        # What is no object fails at `cls(**fields)`, as a TypeError.
        schema = fields.setdefault("schema", 1) if isinstance(fields, dict) else 1
        if schema > SCHEMA:
            raise NormLabError(
                f"a record of schema {schema}: this version of normlab reads up to {SCHEMA}; "
                "install a newer one."
            )
        return cls(**fields)

    def write(self, path: Path) -> None:
        """Replace `path` in one step."""
        write_atomically(path, self.to_json() + "\n")

    @classmethod
    def read(cls, path: Path) -> "Record | None":
        """The record at `path`, or None if there is none or it is damaged.

        Raises:
            NormLabError: it is of a later schema.
        """
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        # It is a ValueError too: the next handler would take a later schema for damage.
        except NormLabError:
            raise
        except (OSError, ValueError, TypeError):
            return None
