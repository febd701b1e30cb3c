"""Trials that were run again on this machine, kept in the user's cache folder.

So a recheck that is killed goes on where it was, and the next one, after another change, need not
run again what an earlier commit gives here. Not evidence: nothing decides by them.
"""

import hashlib
from contextlib import suppress

from normlab.data.cache import cache_folder
from normlab.records.machine import versions
from normlab.records.record import Record
from normlab.records.store import DONE


class KeptTrials:
    """What one state of the code, a commit or a source, has given here."""

    def __init__(self, code: str) -> None:
        # Another version of torch, another processor or kernel gives other bits.
        here = hashlib.sha256(repr(sorted(versions().items())).encode())
        self._folder = cache_folder() / "rechecks" / here.hexdigest()[:12] / code

    def get(self, key: str) -> Record | None:
        """The record of the trial `key`; None where it has not been run."""
        return Record.read(self._folder / f"{key}.json")

    def add(self, record: Record) -> None:
        """Keep `record`, unless it could not run: then it is tried again."""
        if record.status in DONE:
            with suppress(OSError):  # a shortcut only
                self._folder.mkdir(parents=True, exist_ok=True)
                record.write(self._folder / f"{record.key}.json")
