"""Records -> what each norm can do, and which of two does it better. Pure but for reading the
store."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.design import Design
from normlab.claims.profiles import protocol_name
from normlab.claims.quantity import Quantity
from normlab.claims.rules import AtLeast, Within
from normlab.claims.trials import Point, Trials
from normlab.claims.verdicts import verdict_under
from normlab.records.record import Record
from normlab.records.store import Store
from normlab.records.verdict import (
    INCONCLUSIVE,
    NO_DATA,
    PARTLY,
    REFUTED,
    SUPPORTED,
    Verdict,
)
from normlab.score.battery import PROTOCOLS, SGD_BATCH, batch_arm, no_images, sizes, trained_claim
from normlab.score.bound import Bound
from normlab.score.row import Row
from normlab.score.rows import ROWS
from normlab.score.subject import Subject
from normlab.score.trials import cost, layer

BARRED = "cannot enter"
BETTER, WORSE, SAME = "better", "worse", "as good"


@dataclass(frozen=True)
class Cell:
    """A norm in a row: its verdict on the bound, and its value with the 95 % interval, both as
    shown.

    verdict: also BARRED, with the reason in `text`, and NO_DATA.
    """

    norm: str
    verdict: str
    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0


@dataclass(frozen=True)
class Comparison:
    """The norm against another in a row: which is better, how sure that is, and the paired
    difference as shown."""

    norm: str
    word: str  # better | worse | as good, or "" where nothing is decided
    verdict: str
    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    row: Row
    cells: dict[str, Cell]  # by norm, the subject first
    comparisons: dict[str, Comparison]  # by reference


@dataclass
class Score:
    """A norm's table, and what it was made of."""

    subject: Subject
    references: tuple[Subject, ...]
    profile: str
    lines: list[Line] = field(default_factory=list)
    data: set[str] = field(default_factory=set)
    devices: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)
    batches: dict[str, dict[int, list[Point]]] = field(
        default_factory=dict
    )  # norm -> normalization batch -> accuracies


def score(subject: Subject, references: Sequence[Subject], profile: str, store: Store) -> Score:
    """The table of `subject` against `references`, from what is recorded."""
    result = Score(subject, tuple(references), profile)
    for row in ROWS:
        cells = {one.name: _cell(row, one, store, result) for one in (subject, *references)}
        compared = {
            other.name: _comparison(row, subject, other, cells, store, result)
            for other in references
        }
        result.lines.append(Line(row, cells, compared))
    result.batches = {
        one.name: _batches(one, profile, store)
        for one in (subject, *references)
        if not no_images(one)
    }
    return result


def _batches(subject: Subject, profile: str, store: Store) -> dict[int, list[Point]]:
    """Test accuracy in per cent of each trial, by normalization batch; one entry where none
    depends on it."""
    arms = {n: batch_arm(subject, n) for n in (*sizes(subject), SGD_BATCH)}
    claim = trained_claim(subject, "images", tuple(arms.values()))
    recorded = _recorded(claim, profile, store)
    trials = Trials(recorded, sorted({seed for by_seed in recorded.values() for seed in by_seed}))
    return {n: trials.points(arm.name, "test_accuracy") for n, arm in arms.items()}


def _recorded(claim: Claim, profile: str, store: Store) -> dict[str, dict[int, Record]]:
    """Evaluation trials by arm and seed."""
    known, name = store.done(), protocol_name(claim, profile)
    if name is None:
        return {}
    return Design(claim, claim.protocols[name]).progress(known).recorded(known)


def _cell(row: Row, subject: Subject, store: Store, score: Score) -> Cell:
    reason = row.barred(subject)
    if reason:
        return Cell(subject.name, BARRED, reason)
    quantity = Quantity(row.measured, row.unit, lambda evidence: row.value(evidence, subject))
    part = Part("shows", row.name, quantity, Bound(row))
    verdict = _verdict(row, subject, row.arms(subject), (part,), store, score)
    if verdict is None:
        return Cell(subject.name, NO_DATA, "no trial is recorded")
    shown = verdict.parts[0]
    text = "; ".join([shown.text, *verdict.missing[:1]])
    numbers = (shown.effect, shown.low, shown.high, verdict.n)
    return Cell(subject.name, shown.verdict, text, *numbers)


def _comparison(
    row: Row, subject: Subject, other: Subject, cells: dict[str, Cell], store: Store, score: Score
) -> Comparison:
    mine, theirs = cells[subject.name], cells[other.name]
    for cell in (mine, theirs):
        if cell.verdict == BARRED:
            return Comparison(other.name, "", BARRED, f"{cell.norm}: {cell.text}")
    if row.exact:
        return _exact(other.name, mine, theirs)

    parts = tuple(_difference_parts(row, subject, other))
    decided = _verdict(row, subject, row.both(subject, other), parts, store, score)
    if decided is None:
        return Comparison(other.name, "", NO_DATA, "no trial is recorded")
    word, verdict = _word({part.name: part.verdict for part in decided.parts})
    better = decided.parts[0]
    text = "; ".join(decided.missing[:1])
    if better.effect is None or better.low is None or better.high is None:
        return Comparison(other.name, word, verdict, text or better.text)
    ends = (better.effect, better.low, better.high)
    middle, *interval = (row.shown(row.sign * end) for end in ends)
    return Comparison(other.name, word, verdict, text, middle, min(interval), max(interval))


def _difference_parts(row: Row, subject: Subject, other: Subject) -> Iterator[Part]:
    """Better by the margin, worse by it, or neither."""

    def signed(sign: int) -> Quantity:
        return Quantity(
            f"{row.measured}; {subject.name} - {other.name}",
            row.unit,
            lambda evidence: sign * row.difference(evidence, subject, other),
        )

    yield Part(BETTER, row.name, signed(row.sign), AtLeast(row.margin))
    yield Part(WORSE, row.name, signed(-row.sign), AtLeast(row.margin))
    yield Part(SAME, row.name, signed(row.sign), Within(row.margin))


def _word(verdicts: dict[str, str]) -> tuple[str, str]:
    """The strongest thing that is decided: a difference of the margin, none of the margin, a
    smaller one."""
    for wanted, words in ((SUPPORTED, (BETTER, WORSE, SAME)), (PARTLY, (BETTER, WORSE))):
        for word in words:
            if verdicts[word] == wanted:
                return word, wanted
    return "", NO_DATA if verdicts[BETTER] == NO_DATA else INCONCLUSIVE


def _exact(name: str, mine: Cell, theirs: Cell) -> Comparison:
    """Of identities: a norm that has it is better than one that has not."""
    decided = (SUPPORTED, REFUTED)
    if mine.verdict not in decided or theirs.verdict not in decided:
        return Comparison(name, "", INCONCLUSIVE, "not decided for both")
    word = (
        SAME if mine.verdict == theirs.verdict else BETTER if mine.verdict == SUPPORTED else WORSE
    )
    return Comparison(name, word, SUPPORTED, "an identity: it holds or it does not")


def _verdict(
    row: Row,
    subject: Subject,
    arms: Sequence[Arm],
    parts: tuple[Part, ...],
    store: Store,
    score: Score,
) -> Verdict | None:
    """What `verdict_under` says of these arms, with the planned seeds in each or no verdict."""
    claim = _claim(row, subject, arms, parts)
    name = protocol_name(claim, score.profile)
    verdict = None if name is None else verdict_under(claim, name, store)
    if verdict is None:
        return None
    score.data |= set(verdict.data)
    score.stale |= set(verdict.stale)
    score.devices |= {verdict.device or ""}
    if score.profile != "smoke":
        return verdict
    undecided = tuple(replace(part, verdict=INCONCLUSIVE) for part in verdict.parts)
    return replace(verdict, parts=undecided)  # a smoke run is never evidence


def _claim(row: Row, subject: Subject, arms: Sequence[Arm], parts: tuple[Part, ...]) -> Claim:
    unique = tuple({arm.name: arm for arm in arms}.values())
    direct = {"layer": layer.CLAIM, "cost": cost.CLAIM}.get(row.family)
    if direct is None:
        return replace(trained_claim(subject, row.family, unique), parts=parts)
    return replace(direct, arms=unique, parts=parts, protocols=PROTOCOLS[row.family])
