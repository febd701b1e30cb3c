"""What a record's device is, from the text that names it. Standard library only."""

import re
from dataclasses import dataclass

_CPU = re.compile(r"(?P<before>.*)cpu \((?P<architecture>.+), (?P<threads>\d+) threads?\)")


@dataclass(frozen=True)
class Device:
    """A processor or a GPU.

    text: as records hold it: `cpu (x86_64, 1 thread)`, a GPU's name, `2 x` either for several
    processes, or a backend before it. architecture and threads: of a CPU, else "" and 0. before:
    what stands before a CPU.
    """

    text: str
    architecture: str = ""
    threads: int = 0
    before: str = ""

    @property
    def is_one_core(self) -> bool:
        return self.threads == 1 and not self.before

    @property
    def label(self) -> str:
        """`x86_64, 1 thread` of one CPU, else the text."""
        if not self.architecture or self.before:
            return self.text
        return f"{self.architecture}, {self.threads} thread{'s' * (self.threads > 1)}"


def read_device(text: str) -> Device:
    """The device that `text` names; any other text is taken for a GPU's name."""
    found = _CPU.fullmatch(text)
    if found is None:
        return Device(text)
    return Device(text, found["architecture"], int(found["threads"]), found["before"])
