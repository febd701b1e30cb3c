"""Records -> what each norm can do, and which of two does it better. Pure but for reading the store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from normlab.claims import stats
from normlab.claims.claim import Claim, Part
from normlab.claims.evidence import Evidence
from normlab.claims.plan import plan
from normlab.claims.profiles import protocol_name
from normlab.claims.rules import Finding, equivalent_within, exact_within, greater_by
from normlab.claims.trials import Point, Trials
from normlab.claims.verdicts import verdict_under
from normlab.records.record import Record
from normlab.records.store import Store
from normlab.records.verdict import INCONCLUSIVE, NO_DATA, PARTLY, REFUTED, SUPPORTED
from normlab.score.battery import PROTOCOLS, SGD_BATCH, batch_arm, no_images, sizes, trained_claim
from normlab.score.row import Row
from normlab.score.rows import ROWS
from normlab.score.subject import Subject
from normlab.score.trials import cost, layer

BARRED = "cannot enter"
BETTER, WORSE, SAME = "better", "worse", "as good"


@dataclass(frozen=True)
class Cell:
    """A norm in a row: its verdict on the bound, and its value with the 95 % interval, both as shown.

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
    """The norm against another in a row: which is better, how sure that is, and the paired difference as shown."""

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
    """Test accuracy in per cent of each trial, by normalization batch; one entry where none depends on it."""
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
    keys = plan(claim, claim.protocols[name], known).evaluation
    return {
        arm: {seed: known[key] for seed, key in by_seed.items() if key in known}
        for arm, by_seed in keys.items()
    }


def shows(row: Row, values: np.ndarray) -> Finding:
    """Does the norm keep the row's bound? Supported where the 95 % interval of the mean lies on its good side, refuted
    where it lies on the other; for an identity `exact_within`. The numbers are the values' own, in the row's unit."""
    if row.exact:
        return exact_within(values, row.bound, row.unit)
    finding = greater_by(row.sign * (values - row.bound), 0.0, row.unit)
    mean, low, high = (float(value) for value in stats.t_interval(values))
    middle, lower, upper = (row.shown(value) for value in (mean, low, high))
    text = f"{middle:.3g} {row.unit}, 95 % interval {lower:.3g} to {upper:.3g}, from {finding.n} seeds; "
    text += f"supported if the interval is {row.asked}, refuted if it is beyond"
    if finding.n == 1:
        return replace(
            finding, effect=middle, low=None, high=None, text=f"{middle:.3g} {row.unit} from 1 seed"
        )
    return replace(finding, effect=middle, low=lower, high=upper, text=text)


def _cell(row: Row, subject: Subject, store: Store, score: Score) -> Cell:
    reason = row.barred(subject)
    if reason:
        return Cell(subject.name, BARRED, reason)
    decide: Callable[[Evidence], Finding] = lambda evidence: shows(
        row, row.value(evidence, subject)
    )
    found = _decided(row, subject, row.arms(subject), {"shows": decide}, store, score)
    if found is None:
        return Cell(subject.name, NO_DATA, "no trial is recorded")
    part = found["parts"][0]
    text = "; ".join([part["text"], *found["missing"][:1]])
    return Cell(
        subject.name, part["verdict"], text, part["effect"], part["low"], part["high"], found["n"]
    )


def _comparison(
    row: Row, subject: Subject, other: Subject, cells: dict[str, Cell], store: Store, score: Score
) -> Comparison:
    mine, theirs = cells[subject.name], cells[other.name]
    for cell in (mine, theirs):
        if cell.verdict == BARRED:
            return Comparison(other.name, "", BARRED, f"{cell.norm}: {cell.text}")
    if row.exact:
        return _exact(other.name, mine, theirs)

    def difference(evidence: Evidence) -> np.ndarray:
        return row.difference(evidence, subject, other)

    parts: dict[str, Callable[[Evidence], Finding]] = {
        BETTER: lambda evidence: greater_by(row.sign * difference(evidence), row.margin, row.unit),
        WORSE: lambda evidence: greater_by(-row.sign * difference(evidence), row.margin, row.unit),
        SAME: lambda evidence: equivalent_within(
            row.sign * difference(evidence), row.margin, row.unit
        ),
    }
    found = _decided(row, subject, row.both(subject, other), parts, store, score)
    if found is None:
        return Comparison(other.name, "", NO_DATA, "no trial is recorded")
    verdicts = {part["name"]: part["verdict"] for part in found["parts"]}
    word, verdict = _word(verdicts)
    part = found["parts"][0]
    text = "; ".join(found["missing"][:1])
    if part["effect"] is None or part["low"] is None:
        return Comparison(other.name, word, verdict, text or part["text"])
    ends = [row.shown(row.sign * part[name]) for name in ("effect", "low", "high")]
    low, high = sorted(ends[1:])
    return Comparison(other.name, word, verdict, text, ends[0], low, high)


def _word(verdicts: dict[str, str]) -> tuple[str, str]:
    """The strongest thing that is decided: a difference of the margin, none of the margin, a smaller one."""
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


def _decided(
    row: Row,
    subject: Subject,
    arms: Sequence[Any],
    parts: dict[str, Callable[[Evidence], Finding]],
    store: Store,
    score: Score,
) -> dict[str, Any] | None:
    """What `verdict_under` says of these arms, with the planned seeds in each or no verdict."""
    claim = _claim(row, subject, arms, parts)
    name = protocol_name(claim, score.profile)
    found = None if name is None else verdict_under(claim, name, store)
    if found is not None and score.profile == "smoke":  # never evidence
        for part in found["parts"]:
            part["verdict"] = INCONCLUSIVE
    if found is not None:
        score.data |= set(found["data"])
        score.stale |= set(found["stale"])
        score.devices |= {found["device"]}
    return found


def _claim(
    row: Row, subject: Subject, arms: Sequence[Any], parts: dict[str, Callable[[Evidence], Finding]]
) -> Claim:
    rule = f"{row.measured}; margin {row.margin:g}"
    decided = tuple(Part(name, row.name, rule, decide) for name, decide in parts.items())
    unique = tuple({arm.name: arm for arm in arms}.values())
    direct = {"layer": layer.CLAIM, "cost": cost.CLAIM}.get(row.family)
    if direct is None:
        return replace(trained_claim(subject, row.family, unique), parts=decided)
    return replace(direct, arms=unique, parts=decided, protocols=PROTOCOLS[row.family])
