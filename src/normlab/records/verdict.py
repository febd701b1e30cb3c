"""Verdicts as results/verdicts.json keeps them: words, types, and the reader. Torch-free."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from normlab.errors import NormLabError
from normlab.records.places import newest

SUPPORTED, PARTLY, REFUTED = "supported", "partly supported", "refuted"
INCONCLUSIVE, NO_DATA = "inconclusive", "no data"
VERDICTS = (SUPPORTED, PARTLY, REFUTED, INCONCLUSIVE, NO_DATA)
OPEN = (INCONCLUSIVE, NO_DATA)
# What asking again says of a verdict.
HELD, LEFT_OPEN, NOT_HELD = "held", "left open", "did not hold"

# Of a row. 1 had no zones, and a part's scale followed from its unit; in 2 the place of a unit did;
# in 3 every part decided, and there was no answer.
SCHEMA = 4
FILE = "verdicts.json"
_AGAIN = ("replications", "elsewhere")


class Zone(NamedTuple):
    """Effects from `low` to `high`, infinite ends included, that a rule gives one verdict."""

    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class PartVerdict:
    """A part of a claim, decided: the effect with its 95 % interval, in `unit`, from `n` seeds.

    decides: it is a clause; else it belongs to the scope, and moves no verdict. p: the p-value of
    what the verdict rejects, over all looks; None for what is exact.
    """

    name: str
    statement: str
    rule: str  # what is asked, made by the rule itself
    text: str  # the finding in one sentence, or what is missing
    verdict: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    n: int = 0
    log: bool = False  # effects are ratios
    zones: tuple[Zone, ...] = ()
    unit_first: bool = False  # the unit reads before its number: `largest error 2e-7`
    decides: bool = True
    stands_for: str = ""  # what the documents speak of, where the trial is something smaller
    p: float | None = None


@dataclass(frozen=True)
class EvidenceTrial:
    """A trial that a verdict rests on."""

    arm: str
    seed: int
    key: str
    status: str


@dataclass(frozen=True)
class OtherVerdict:
    """What the trials on another device say by themselves."""

    profile: str
    device: str
    verdict: str
    n: int


@dataclass(frozen=True)
class Again:
    """The same version of a claim asked once more: with fresh seeds, or on another machine.

    first_seed: of the fresh seeds; 0 for the records of another machine. date: of its last trial.
    """

    machine: str
    profile: str
    verdict: str
    n: int
    clauses: tuple[PartVerdict, ...]
    date: str = ""
    torch: str = ""  # its versions
    first_seed: int = 0
    stale: tuple[str, ...] = ()

    def says_of(self, verdict: str) -> str:
        """Whether `verdict` held, was left open or did not hold; "" where nothing was decided."""
        if verdict in OPEN:
            return ""
        if self.verdict in OPEN:
            return LEFT_OPEN
        return HELD if self.verdict == verdict else NOT_HELD


@dataclass(frozen=True)
class Earlier:
    """What an earlier version of a claim gave, in a line."""

    version: str
    verdict: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """A claim, decided by the strongest evidence that is there; `profile` is None without any."""

    slug: str
    statement: str
    documents: tuple[str, ...]
    verdict: str
    parts: tuple[PartVerdict, ...]
    profile: str | None = None
    answer: str = ""  # one sentence with its numbers; empty without data
    n: int = 0  # seeds that every arm has
    version: str = ""  # of clauses, rules, arms and protocol
    history: tuple[Earlier, ...] = ()
    device: str | None = None
    others: tuple[OtherVerdict, ...] = ()
    data: tuple[str, ...] = ()
    # by arm, what its seeds chose
    learning_rates: Mapping[str, Sequence[float]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    evidence: tuple[EvidenceTrial, ...] = ()
    # Neither moves the verdict: the same version with fresh seeds, and on other machines.
    replications: tuple[Again, ...] = ()
    elsewhere: tuple[Again, ...] = ()
    schema: int = SCHEMA

    @property
    def clauses(self) -> tuple[PartVerdict, ...]:
        """The parts that decide."""
        return tuple(part for part in self.parts if part.decides)

    @property
    def scope(self) -> tuple[PartVerdict, ...]:
        """The parts that decide nothing."""
        return tuple(part for part in self.parts if not part.decides)

    def part(self, name: str) -> PartVerdict | None:
        """The part of that name; None if there is none."""
        return next((part for part in self.parts if part.name == name), None)


def to_json(verdicts: Sequence[Verdict]) -> str:
    """What results/verdicts.json holds and `normlab verdict --json` prints; an open end is null."""
    rows = [asdict(verdict) for verdict in verdicts]
    for row in rows:
        _close_ends(row["parts"])
        for name in _AGAIN:
            for again in row[name]:
                _close_ends(again["clauses"])
            # Most claims have none, and a row of these is as it was before there were any.
            if not row[name]:
                del row[name]
    return json.dumps(rows, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _close_ends(parts: Sequence[dict[str, Any]]) -> None:
    """JSON has no infinity, and `allow_nan=False` refuses it."""
    for part in parts:
        part["zones"] = [_open_ends(zone) for zone in part["zones"]]


def _open_ends(zone: Zone) -> list[float | str | None]:
    ends = [end if math.isfinite(end) else None for end in (zone.low, zone.high)]
    return [*ends, zone.verdict]


def read_verdicts(folder: Path) -> dict[str, Verdict]:
    """The verdicts that `folder` keeps, by slug; rows of older schemas are brought up to this one.

    Raises:
        NormLabError: the file is missing or damaged, or of a later schema.
    """
    path = newest(folder, FILE)
    try:
        rows = json.loads(path.read_text())
        return {row["slug"]: _verdict(row) for row in rows}
    # It is a ValueError too: the next handler would take a later schema for damage.
    except NormLabError:
        raise
    except (OSError, ValueError, KeyError, TypeError):
        raise NormLabError(
            f"{path} cannot be read, and nothing else says what is decided: "
            "build it with `normlab verdict`, or name another folder with --results."
        ) from None


def _verdict(row: Mapping[str, Any]) -> Verdict:
    if row.get("schema", 1) > SCHEMA:
        raise NormLabError(
            f"a verdict of schema {row['schema']}: this version of normlab reads up to {SCHEMA}; "
            "install a newer one."
        )
    known = {item.name for item in fields(Verdict)}
    kept = {name: value for name, value in row.items() if name in known}
    return Verdict(
        **{
            **kept,
            "documents": tuple(row["documents"]),
            "parts": tuple(_part(part) for part in row["parts"]),
            "others": tuple(OtherVerdict(**other) for other in row["others"]),
            "evidence": tuple(EvidenceTrial(**trial) for trial in row["evidence"]),
            "history": tuple(Earlier(**earlier) for earlier in row.get("history", ())),
            **{name: tuple(row[name]) for name in ("data", "missing", "stale")},
            **{name: tuple(_again(one) for one in row.get(name, ())) for name in _AGAIN},
            "schema": SCHEMA,
        }
    )


def _again(row: Mapping[str, Any]) -> Again:
    clauses = tuple(_part(part) for part in row["clauses"])
    return Again(**{**row, "clauses": clauses, "stale": tuple(row["stale"])})


def _part(row: Mapping[str, Any]) -> PartVerdict:
    zones = tuple(_zone(*zone) for zone in row.get("zones", ()))
    # Schema 1 had no `log`: ratios were told by their unit.
    log = row.get("log", row["unit"] == "times")
    # Schema 2 had no `unit_first`: such units were told by their first word.
    unit_first = row.get("unit_first", row["unit"].startswith("largest"))
    return PartVerdict(**{**row, "zones": zones, "log": log, "unit_first": unit_first})


def _zone(low: float | None, high: float | None, verdict: str) -> Zone:
    return Zone(-math.inf if low is None else low, math.inf if high is None else high, verdict)
