"""Records of scores after a change of code that should change no result: see claims/run/recheck."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from normlab.claims.run.engines import build_engine
from normlab.claims.run.recheck import recheck
from normlab.errors import NormLabError
from normlab.records.json_values import JsonObject
from normlab.records.provenance import Recheck
from normlab.records.record import Record
from normlab.records.store import Store
from normlab.score.battery import TRIALS, battery
from normlab.score.subject import Subject, subject_of


def recheck_scores(folder: Path, workers: int | None = None) -> list[Recheck]:
    """Run one stale trial of each way in the score records of `folder` again; what each gave.

    Timings give no two same bits and are left out, as are norms that lie elsewhere.
    """
    store = Store(folder)
    subjects = recorded_subjects(store.records.values())
    if not subjects:
        return []
    # Without cost every norm has the same cells, whichever is the subject.
    claims = battery(subjects[0], subjects[1:], timed=False)
    return recheck(claims, store, build_engine("local", workers, TRIALS), TRIALS)


def recorded_subjects(records: Iterable[Record]) -> list[Subject]:
    """The norms that were measured as layers, each once; says which cannot be found here."""
    norms: dict[str, JsonObject] = {}
    for record in records:
        norm = record.section("options").get("norm")
        if record.claim == "layer" and isinstance(norm, dict):
            # Each has one record a draw.
            norms[json.dumps(norm, sort_keys=True)] = norm
    subjects = []
    for norm in norms.values():
        try:
            subjects.append(_subject(norm))
        except NormLabError as error:
            print(f"left out: {error}", file=sys.stderr)
    return subjects


def _subject(norm: JsonObject) -> Subject:
    given = {name: value for name, value in norm.items() if name not in ("kind", "code")}
    if norm["kind"] == "custom":
        options = given.get("options")
        # The options of a class lie one level deeper, beside its path.
        given = options if isinstance(options, dict) else {}
    name = str(norm.get("target", norm["kind"]))
    return subject_of(name, [f"{option}={json.dumps(value)}" for option, value in given.items()])
