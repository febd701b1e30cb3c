"""results/replications.json: which verdicts were asked again with fresh seeds, and what came of it.

A row says which seeds they were; their records lie in results/replications/<first seed>/.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from normlab.records.files import write_atomically
from normlab.records.verdict import OPEN

FOLDER = "replications"
FILE = "replications.json"


@dataclass(frozen=True)
class Replication:
    """A verdict, and what the same version gave with other seeds: where, by how many, and when."""

    slug: str
    version: str
    profile: str
    first_seed: int
    before: str
    now: str
    commit: str | None = None
    machine: str = ""
    n: int = 0
    date: str = ""

    @property
    def held(self) -> bool:
        """Whether both say the same."""
        return self.before == self.now

    @property
    def is_contrary(self) -> bool:
        """Whether both decide, and not the same: an open one is less, and no contradiction."""
        return not self.held and self.now not in OPEN


def replications(folder: Path) -> list[Replication]:
    """All that a results folder has, oldest first."""
    path = folder / FILE
    if not path.is_file():
        return []
    return [Replication(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def add_replication(folder: Path, row: Replication) -> None:
    """Keep one more row."""
    rows = [asdict(one) for one in (*replications(folder), row)]
    write_atomically(folder / FILE, json.dumps(rows, indent=1, sort_keys=True) + "\n")


def rate_in_words(rows: Sequence[Replication]) -> str:
    """The line of the report; "" without any."""
    if not rows:
        return ""
    held, contrary = (sum(getattr(row, name) for row in rows) for name in ("held", "is_contrary"))
    return (
        f"Of {len(rows)} verdicts that were run again with other seeds {held} held, "
        f"{len(rows) - held - contrary} were left open, and {contrary} came out otherwise."
    )
