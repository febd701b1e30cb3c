"""The records of scores: results/score/, apart from those of claims."""

import platform
from collections.abc import Iterable
from pathlib import Path

from normlab.claims.staleness import changed_files
from normlab.records.device import read_device
from normlab.records.provenance import load_sources
from normlab.records.record import Record
from normlab.records.store import Store
from normlab.score.subject import Subject


class ScoreStore(Store):
    """A `Store` that counts as done only what says something of `subjects` as they are now, here.

    Left out: records of another architecture; void timings, which are measured again; and trainings
    and draws of the subjects with code that has been edited since. Those of all other norms stay,
    and so do timings: the page says where code has changed.
    """

    def __init__(self, folder: Path, *subjects: Subject) -> None:
        self._measured = [subject.measured for subject in subjects]
        # The claims of their own trainings, by which their files are named.
        self._trained = {
            f"{subject.slug}-{family}" for subject in subjects for family in ("images", "text")
        }
        self._done: dict[str, Record] | None = None
        super().__init__(folder)

    def _note(self, record: Record) -> None:
        super()._note(record)
        self._done = None

    def void(self, arms: Iterable[str]) -> int:
        """Timings of these whose control is off and that have not been measured again."""
        # The last record of a key counts: a void timing that was repeated is gone.
        wanted = set(arms)
        timings = [record for record in self.records.values() if record.arm in wanted]
        return sum(bool(record.metrics.get("void")) for record in timings)

    def done(self) -> dict[str, Record]:
        """The records that count."""
        if self._done is None:
            known = load_sources(self.folder)
            self._done = {}
            for key, record in super().done().items():
                # None, for code that nobody can compare, is not the empty set: it counts as edited.
                edited = self._is_own(record) and changed_files(record, known) != set()
                if _from_here(record) and not record.metrics.get("void") and not edited:
                    self._done[key] = record
        return self._done

    def _is_own(self, record: Record) -> bool:
        """Whether it is of a subject alone, and no timing."""
        if record.claim == "layer":
            return record.section("options").get("norm") in self._measured
        return record.claim in self._trained


def _from_here(record: Record) -> bool:
    # GPUs have none, and count wherever they are.
    return read_device(record.device).architecture in ("", platform.machine())
