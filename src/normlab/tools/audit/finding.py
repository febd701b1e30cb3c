"""What an audit finds, and the record that each finding rests on."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from normlab.errors import NormLabError
from normlab.records.places import RESULTS
from normlab.records.verdict import (
    NO_DATA,
    REFUTED,
    SUPPORTED,
    PartVerdict,
    Verdict,
    read_verdicts,
)
from normlab.records.words import effect


@dataclass(frozen=True)
class Evidence:
    """A claim, or one part of it, and the verdict on it that the finding rests on."""

    slug: str
    part: str | None = None
    verdict: str = SUPPORTED

    def recorded(self, folder: Path = RESULTS) -> PartVerdict:
        """What results/verdicts.json says of the part, or of the claim as a whole."""
        verdict = _verdicts(folder).get(self.slug)
        if verdict is None:
            return PartVerdict(self.slug, "not in the records", "", "", NO_DATA)
        part = verdict.part(self.part) if self.part else None
        if part is not None and verdict.verdict != NO_DATA:
            return part
        # A part that the claim no longer has is no record, for or against.
        word = verdict.verdict if self.part is None else NO_DATA
        return PartVerdict(self.slug, verdict.statement, "", "", word, n=verdict.n)

    def contradicted(self, folder: Path = RESULTS) -> bool:
        """Whether the record says the opposite of what the finding rests on."""
        return {self.recorded(folder).verdict, self.verdict} == {SUPPORTED, REFUTED}

    def __str__(self) -> str:
        recorded = self.recorded()
        words = [f'"{recorded.statement}": {recorded.verdict}', effect(recorded)]
        return f"{self.slug}: {', '.join(filter(None, words))}"


@dataclass(frozen=True)
class Finding:
    """A failure mode, `name`, and what there is to see of it in the model, `reason`.

    Its numbers can be looked up there. undecided: what no claim has measured of it so far; a
    finding has evidence, or this, or both.
    """

    name: str
    layers: tuple[str, ...]
    reason: str
    evidence: tuple[Evidence, ...] = ()
    undecided: str = ""

    @property
    def where(self) -> str:
        """The layers, the first four by name."""
        more = len(self.layers) - 4
        return ", ".join(self.layers[:4]) + (f" and {more} more" if more > 0 else "")

    @property
    def contradicted(self) -> bool:
        """Whether every record that it rests on says the opposite by now."""
        return bool(self.evidence) and all(record.contradicted() for record in self.evidence)

    @property
    def records(self) -> list[str]:
        """What is known of such a failure mode, a line for each record."""
        lines = [f"record of {record}" for record in self.evidence]
        return lines + ([f"no claim decides yet {self.undecided}"] if self.undecided else [])

    def __str__(self) -> str:
        return "\n  ".join([f"{self.name}: {self.where}: {self.reason}", *self.records])


@dataclass(frozen=True)
class Audit:
    """The findings, in the order of the checks.

    norms: how many norm layers were looked at. unread: others, which no check can read, each with
    the reason. notes: what was not looked for, and why.
    """

    findings: tuple[Finding, ...]
    norms: int
    unread: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __str__(self) -> str:
        findings = "1 finding" if len(self) == 1 else f"{len(self)} findings"
        layers = "1 norm layer" if self.norms == 1 else f"{self.norms} norm layers"
        lines = [f"{findings} in {layers}"]
        # Findings in a row that rest on the same records name these once.
        for (name, records), group in groupby(self, lambda found: (found.name, found.records)):
            lines += [name, *(f"  {finding.where}: {finding.reason}" for finding in group)]
            lines += [f"  {record}" for record in records]
        if self.unread:
            lines.append(f"{len(self.unread)} more could not be read, and nothing is said of them")
            lines += [f"  {layer}" for layer in self.unread[:4]]
        if len(self.unread) > 4:
            lines.append("  ...")
        lines += [f"not looked for: {note}" for note in self.notes]
        return "\n".join(lines)


@cache
def _verdicts(folder: Path) -> dict[str, Verdict]:
    try:
        return read_verdicts(folder)
    # Without readable records the findings stand, and say that there are none.
    except NormLabError:
        return {}
