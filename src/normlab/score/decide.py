"""Records -> the table of a score."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.decided import verdict_under
from normlab.claims.design import Design
from normlab.claims.profiles import protocol_name, protocol_of
from normlab.claims.quantity import Quantity
from normlab.claims.rules import AtLeast, Within
from normlab.claims.stats import scaled
from normlab.claims.trials import Point, Trials
from normlab.records.store import Store
from normlab.records.verdict import (
    INCONCLUSIVE,
    NO_DATA,
    REFUTED,
    SUPPORTED,
    Verdict,
)
from normlab.score.battery import PROTOCOLS, SGD_BATCH, batch_arm, no_images, sizes, trained_claim
from normlab.score.bound import Bound
from normlab.score.request import ScoreProfile
from normlab.score.row import Row
from normlab.score.rows import ROWS
from normlab.score.subject import Subject
from normlab.score.table import BARRED, BETTER, SAME, WORSE, Cell, Comparison, Line, Score
from normlab.score.trials import cost, layer

_UNKNOWN = "no trial is recorded"


def score(subject: Subject, references: Sequence[Subject], profile: str, store: Store) -> Score:
    """The table of `subject` against `references`, from what is recorded."""
    decider = Decider(profile, store)
    lines = tuple(decider.line(row, subject, references) for row in ROWS)
    # A norm that takes no images has no accuracies to draw.
    pictured = [norm for norm in (subject, *references) if not no_images(norm)]
    used = decider.verdicts
    return Score(
        subject,
        tuple(references),
        profile,
        lines,
        data=frozenset().union(*(verdict.data for verdict in used)),
        devices=frozenset(verdict.device or "" for verdict in used),
        stale=frozenset().union(*(verdict.stale for verdict in used)),
        batches={norm.name: _accuracies(norm, profile, store) for norm in pictured},
    )


def _accuracies(subject: Subject, profile: str, store: Store) -> dict[int, list[Point]]:
    """Test accuracy in per cent of each trial, by normalization batch.

    One entry for a norm whose result depends on none.
    """
    arms = {n: batch_arm(subject, n) for n in (*sizes(subject), SGD_BATCH)}
    claim = trained_claim(subject, "images", tuple(arms.values()))
    protocol = protocol_of(claim, profile)
    if protocol is None:
        return {n: [] for n in arms}
    recorded = Design(claim, protocol).progress(store.tried()).recorded(store.done())
    # Nothing is compared here: every seed counts, whichever arms have it.
    trials = Trials(recorded, {arm: frozenset(by_seed) for arm, by_seed in recorded.items()})
    return {n: trials.points(arm.name, "test_accuracy") for n, arm in arms.items()}


class Decider:
    """Decides rows from the records of `store`; `verdicts` are all that it has come to."""

    def __init__(self, profile: str, store: Store) -> None:
        self.profile = profile
        self.store = store
        self.verdicts: list[Verdict] = []

    def line(self, row: Row, subject: Subject, references: Sequence[Subject]) -> Line:
        """The row for every norm, and for each reference the comparison with the subject."""
        cells = {norm.name: self.cell(row, norm) for norm in (subject, *references)}
        comparisons = {
            other.name: self.comparison(row, subject, other, cells) for other in references
        }
        return Line(row, cells, comparisons)

    def cell(self, row: Row, subject: Subject) -> Cell:
        """Whether the norm keeps the row's bound."""
        # Asked before the records: what cannot enter has run nothing, and is not missing.
        reason = row.barred(subject)
        if reason:
            return Cell(subject.name, BARRED, reason)
        # Decided as a claim of one part, by the same rules and the same demand for all seeds.
        quantity = Quantity(row.measured, row.unit, lambda evidence: row.value(evidence, subject))
        part = Part("shows", row.name, quantity, Bound(row))
        verdict = self._decide(_claim(row, subject, row.arms(subject), (part,)))
        if verdict is None:
            return Cell(subject.name, NO_DATA, _UNKNOWN)
        (shown,) = verdict.parts
        text = "; ".join([shown.text, *verdict.missing[:1]])
        numbers = (shown.effect, shown.low, shown.high)
        return Cell(subject.name, shown.verdict, text, *numbers, verdict.n)

    def comparison(
        self, row: Row, subject: Subject, other: Subject, cells: Mapping[str, Cell]
    ) -> Comparison:
        """Which of two norms has more of the row's ability; `cells` are their own."""
        own, others = cells[subject.name], cells[other.name]
        for cell in (own, others):
            if cell.verdict == BARRED:
                return Comparison(other.name, "", BARRED, f"{cell.norm}: {cell.text}")
        # Identities hold or do not: a difference of two rounding errors says nothing.
        if row.exact:
            return compare_identities(own, others)
        parts = _difference_parts(row, subject, other)
        verdict = self._decide(_claim(row, subject, row.both(subject, other), parts))
        if verdict is None:
            return Comparison(other.name, "", NO_DATA, _UNKNOWN)
        return _shown(row, other, verdict)

    def verdict(self, claim: Claim) -> Verdict | None:
        """What the records say of a claim; None without any."""
        name = protocol_name(claim, self.profile)
        return None if name is None else verdict_under(claim, name, self.store)

    def _decide(self, claim: Claim) -> Verdict | None:
        """The verdict on a claim made for one row; undecided unless each arm has all its seeds."""
        verdict = self.verdict(claim)
        if verdict is None:
            return None
        self.verdicts.append(verdict)
        if self.profile != ScoreProfile.smoke:
            return verdict
        # A smoke run shows that everything runs; it is never evidence.
        undecided = tuple(replace(part, verdict=INCONCLUSIVE) for part in verdict.parts)
        return replace(verdict, parts=undecided)


def _difference_parts(row: Row, subject: Subject, other: Subject) -> tuple[Part, ...]:
    """Better by the margin, worse by it, or neither; effects are positive if the part is true."""

    def difference(sign: int) -> Quantity:
        words = f"{row.measured}; {subject.name} - {other.name}"
        return Quantity(
            words, row.unit, lambda evidence: scaled(row.difference(evidence, subject, other), sign)
        )

    # Three questions to the same differences; `strongest_word` takes what is shown best.
    return (
        Part(BETTER, row.name, difference(row.sign), AtLeast(row.margin)),
        Part(WORSE, row.name, difference(-row.sign), AtLeast(row.margin)),
        Part(SAME, row.name, difference(row.sign), Within(row.margin)),
    )


def _claim(row: Row, subject: Subject, arms: Sequence[Arm], parts: tuple[Part, ...]) -> Claim:
    """What a row asks, as a claim of its own: the same trials, and its own parts."""
    # Cells share arms: of a norm that no batch changes, every batch is the base arm.
    unique = tuple({arm.name: arm for arm in arms}.values())
    # Of these the claim's own trial measures; the others are trainings of the norm's own file.
    direct = {"layer": layer.CLAIM, "cost": cost.CLAIM}.get(row.family)
    if direct is None:
        return replace(trained_claim(subject, row.family, unique), clauses=parts)
    return replace(direct, arms=unique, clauses=parts, protocols=PROTOCOLS[row.family])


def _shown(row: Row, other: Subject, verdict: Verdict) -> Comparison:
    """The strongest word, and the difference as it is shown."""
    word, certainty = strongest_word({part.name: part.verdict for part in verdict.parts})
    better = verdict.parts[0]
    text = "; ".join(verdict.missing[:1])
    if better.effect is None or better.low is None or better.high is None:
        return Comparison(other.name, word, certainty, text or better.text)
    # The part counts what is better as positive; shown is the norm minus the other.
    ends = (row.sign * end for end in (better.effect, better.low, better.high))
    # Turned back by its sign, an interval has its ends the other way round.
    middle, *interval = map(row.shown, ends)
    return Comparison(other.name, word, certainty, text, middle, min(interval), max(interval))


def strongest_word(verdicts: Mapping[str, str]) -> tuple[str, str]:
    """The strongest that is decided of BETTER, WORSE and SAME, and how sure it is.

    A difference of the margin, or none of the margin.
    """
    for word in (BETTER, WORSE, SAME):
        if verdicts[word] == SUPPORTED:
            return word, SUPPORTED
    return "", NO_DATA if verdicts[BETTER] == NO_DATA else INCONCLUSIVE


def compare_identities(own: Cell, other: Cell) -> Comparison:
    """A norm that has an identity is better than one that has not."""
    if not {own.verdict, other.verdict} <= {SUPPORTED, REFUTED}:
        return Comparison(other.norm, "", INCONCLUSIVE, "not decided for both")
    word = BETTER if own.verdict == SUPPORTED else WORSE
    if own.verdict == other.verdict:
        word = SAME
    return Comparison(other.norm, word, SUPPORTED, "an identity: it holds or it does not")
