"""The records of scores: results/score/, apart from those of claims."""

import platform
from collections.abc import Iterable
from pathlib import Path

from normlab.claims.staleness import changed_files
from normlab.records.provenance import load_sources
from normlab.records.record import Record
from normlab.records.store import Store
from normlab.score.subject import Subject


class ScoreStore(Store):
    """A `Store` that counts as done only what says something of `subject` as it is now, here.

    Left out: records of another architecture; void timings, which are measured again; and trainings
    of the subject with code that has been edited since. Those of the references stay, and the page
    says so where code has changed.
    """

    def __init__(self, folder: Path, subject: Subject) -> None:
        self.own = {f"{subject.slug}-{family}" for family in ("images", "text")}
        self._done: dict[str, Record] | None = None
        super().__init__(folder)

    def _note(self, record: Record) -> None:
        super()._note(record)
        self._done = None

    def void(self, arms: Iterable[str]) -> int:
        """Timings of these whose control is off and that have not been measured again."""
        wanted = set(arms)
        return sum(
            bool(record.metrics.get("void"))
            for record in self.records.values()
            if record.arm in wanted
        )

    def done(self) -> dict[str, Record]:
        if self._done is None:
            known = load_sources(self.folder)
            self._done = {
                key: record
                for key, record in super().done().items()
                if _from_here(record)
                and not record.metrics.get("void")
                and (record.claim not in self.own or changed_files(record, known) == set())
            }
        return self._done


def _from_here(record: Record) -> bool:
    return not record.device.startswith("cpu (") or record.device.startswith(
        f"cpu ({platform.machine()},"
    )
