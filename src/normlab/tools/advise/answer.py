"""The table's entries, held against the verdicts for one situation.

A reason exists only where its verdict is there and decided; its direction is the verdict's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from normlab.records.norm_choices import IMAGES, TEXT, NormChoice, fitting
from normlab.records.verdict import NO_DATA, PartVerdict, Verdict
from normlab.records.words import device_label, effect, listed
from normlab.tools.advise.entry import Entry
from normlab.tools.advise.situation import Situation
from normlab.tools.advise.table import TABLE

PLACEMENTS = ("pre", "post", "sandwich", "deepnorm")
# Inputs that the battery of `normlab score --all` has networks for, and which.
_MODALITIES = {"images": IMAGES, "causal": TEXT}


@dataclass(frozen=True)
class Reason:
    """One sentence with the verdict that it rests on; numbers are None where a verdict has none."""

    slug: str
    part: str | None
    verdict: str
    sentence: str
    effect: float | None
    low: float | None
    high: float | None
    unit: str
    n: int
    profile: str
    device: str
    data: str
    stale: bool

    @property
    def source(self) -> str:
        """The verdict, in brackets behind the sentence."""
        name = f"{self.slug}, {self.part}" if self.part else self.slug
        stale = "stale" if self.stale else ""
        words = (f"{name}: {self.verdict}", f"n = {self.n}", self.data, self.device, stale)
        return "; ".join(filter(None, words))


@dataclass
class Ranked:
    """A norm or placement with its reasons; the score is reasons for it less reasons against it."""

    name: str
    pros: list[Reason] = field(default_factory=list)
    cons: list[Reason] = field(default_factory=list)

    @property
    def score(self) -> int:
        return len(self.pros) - len(self.cons)


@dataclass(frozen=True)
class Gap:
    """Evidence that would bear on the situation and is not there."""

    slug: str
    part: str | None
    why: str  # inconclusive, no data, not recorded, or measured elsewhere
    names: tuple[str, ...]  # whom it would speak of


@dataclass(frozen=True)
class Advice:
    """The answer: `norms` and `placements` are ranked.

    notes: decided, and for or against none. unranked: kinds, and placements in a transformer, of
    which no decided verdict speaks here.
    """

    situation: Situation
    norms: list[Ranked]
    placements: list[Ranked]
    notes: list[Reason]
    missing: list[Gap]
    unranked: list[str]
    battery: list[NormChoice] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "situation": asdict(self.situation),
            "norms": list(map(_ranked_as_json, self.norms)),
            "placements": list(map(_ranked_as_json, self.placements)),
            "notes": list(map(asdict, self.notes)),
            "missing": list(map(asdict, self.missing)),
            "unranked": self.unranked,
            "battery": list(map(asdict, self.battery)),
        }


def _ranked_as_json(item: Ranked) -> dict[str, Any]:
    return {
        "name": item.name,
        "score": item.score,
        "for": list(map(asdict, item.pros)),
        "against": list(map(asdict, item.cons)),
    }


def advise(
    situation: Situation,
    verdicts: Mapping[str, Verdict],
    kinds: Iterable[str] = (),
    choices: Sequence[NormChoice] = (),
) -> Advice:
    """What `verdicts` (by slug) say of `situation`; `kinds`: every norm that there is; `choices`:
    what the battery says of norms."""
    boards: dict[str, dict[str, Ranked]] = {"norms": {}, "placements": {}}
    notes: list[Reason] = []
    missing: list[Gap] = []
    for entry in TABLE:
        if not entry.when(situation):
            continue
        verdict = verdicts.get(entry.slug)
        part = _part(entry, verdict)
        side = entry.judge(part, situation) if part else None
        if not entry.given(situation):
            missing.append(_gap(entry, entry.lacks))
        elif verdict is None or part is None or side is None:
            missing.append(_gap(entry, _why_undecided(entry, part)))
        # An entry without a sentence for this side has nothing to say of it.
        elif sentence := {1: entry.says, -1: entry.opposite, 0: entry.neither}[side]:
            reason = _reason(entry, verdict, part, sentence)
            if not _rank(boards[entry.on], entry, side, reason):
                notes.append(reason)
    norms, placements = _in_order(boards["norms"]), _in_order(boards["placements"])
    ranked = {item.name for item in (*norms, *placements)}
    # Placements are no question where nothing is added to a stream.
    every = [*sorted(kinds), *(PLACEMENTS if situation.transformer else ())]
    unranked = [name for name in every if name not in ranked]
    modality = _MODALITIES.get(situation.input, "")
    battery = fitting(choices, modality, situation.batch)
    return Advice(situation, norms, placements, notes, missing, unranked, battery)


def _rank(board: dict[str, Ranked], entry: Entry, side: int, reason: Reason) -> bool:
    """Gives the reason to those that it speaks for and against; False if there are none."""
    # Where the verdict points the other way, the sides are swapped.
    pros, cons = (entry.favours, entry.against) if side > 0 else (entry.against, entry.favours)
    if side == 0 or not pros + cons:
        return False
    for name in pros:
        board.setdefault(name, Ranked(name)).pros.append(reason)
    for name in cons:
        board.setdefault(name, Ranked(name)).cons.append(reason)
    return True


def _in_order(items: Mapping[str, Ranked]) -> list[Ranked]:
    return sorted(items.values(), key=lambda item: (-item.score, item.name))


def _part(entry: Entry, verdict: Verdict | None) -> PartVerdict | None:
    """The part that the entry names, or the whole claim where it names none."""
    if verdict is None:
        return None
    if entry.part is not None:
        return verdict.part(entry.part)
    # A claim as a whole has a verdict and no effect.
    return PartVerdict(verdict.slug, verdict.statement, "", "", verdict.verdict, n=verdict.n)


def _reason(entry: Entry, verdict: Verdict, part: PartVerdict, sentence: str) -> Reason:
    words = effect(part)
    if entry.part is None:
        measured = [one for one in verdict.parts if one.effect is not None]
        # Its effects are those of its parts, each behind its name.
        words = "".join(f"; {one.name} {effect(one)}" for one in measured)
    return Reason(
        slug=entry.slug,
        part=entry.part,
        verdict=part.verdict,
        sentence=sentence.format(effect=words),
        effect=part.effect,
        low=part.low,
        high=part.high,
        unit=part.unit,
        n=part.n,
        profile=verdict.profile or "",
        device=device_label(verdict.device),
        data=listed([name for name in verdict.data if name]),
        stale=bool(verdict.stale),
    )


def _why_undecided(entry: Entry, part: PartVerdict | None) -> str:
    if part is None or part.verdict == NO_DATA:
        return f"not recorded; normlab run {entry.slug}"
    return part.verdict


def _gap(entry: Entry, why: str) -> Gap:
    return Gap(entry.slug, entry.part, why, entry.favours + entry.against)
