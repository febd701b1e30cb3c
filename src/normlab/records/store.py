"""The evidence on disk: results/<slug>.jsonl, one line per trial, written by one process."""

from collections.abc import Mapping
from pathlib import Path

from normlab.errors import NormLabError
from normlab.records.lines import BENCHMARKS, ZOO, Lines, read_lines
from normlab.records.places import RESULTS, read_together
from normlab.records.provenance import note_sources
from normlab.records.record import Record

# What counts as evidence; failed and timeout are kept, shown, and run again.
DONE = ("ok", "diverged")


class Store(Lines):
    """All records of a results folder, by key.

    A key does not contain the claim: a trial that another claim has run is found here, whichever
    file holds it.
    """

    def __init__(self, folder: Path = RESULTS) -> None:
        super().__init__(folder)
        self.records: dict[str, Record] = {}
        self._finished: dict[str, Record] = {}
        self._failed: dict[str, Record] = {}
        self.reload()

    def files(self) -> list[Path]:
        """Those of this folder, which are written to, but for the rows of benchmarks."""
        return _files(self.folder)

    def reload(self) -> None:
        """Read every file; the last finished record of a key counts, else the last one.

        Raises:
            NormLabError: a damaged line, other than a torn last one.
        """
        self.records, self._finished, self._failed = {}, {}, {}
        for folder in read_together(self.folder):
            for path in _files(folder):
                for record in read_records(path):
                    self._note(record)

    def _note(self, record: Record) -> None:
        known = self.records.get(record.key)
        if known is None or record.status in DONE or known.status not in DONE:
            self.records[record.key] = record
            if record.status in DONE:
                self._finished[record.key] = record
                self._failed.pop(record.key, None)
            else:
                self._failed[record.key] = record

    def done(self) -> Mapping[str, Record]:
        """The records that are evidence, by key; what is appended later is in it, too."""
        return self._finished

    def tried(self) -> Mapping[str, Record]:
        """By key, the evidence and the trials that failed: what a plan is made from.

        A run counts a failed tuning trial as the worst and goes on, so whoever reads its records
        later must do the same.
        """
        return self._failed | {**self.done()}

    def append(self, slug: str, record: Record) -> None:
        """Add one line to results/<slug>.jsonl: on disk when this returns."""
        self.write(slug, [record.to_json()])
        self._note(record)

    def _prepare(self) -> None:
        super()._prepare()
        note_sources(self.folder)
        # Under the lock: another run may have added records since this store was made.
        self.reload()


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.jsonl")) if path.name not in (BENCHMARKS, ZOO)]


def read_records(path: Path) -> list[Record]:
    """The records of a file, without a torn last line.

    Raises:
        NormLabError: a line that is not a record.
    """
    records = []
    for number, line in read_lines(path):
        try:
            records.append(Record.from_json(line.decode()))
        except NormLabError as error:
            raise NormLabError(f"{path}, line {number}: {error}") from None
        except (ValueError, TypeError):
            raise NormLabError(
                f"{path}, line {number}: not a record; restore the file from version control."
            ) from None
    return records
