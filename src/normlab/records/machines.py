"""Which machine a record, or a row of a benchmark, was made on. Standard library only.

Evidence of other machines lies in results/elsewhere/<machine>/, in files like those of results/,
and decides nothing here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from normlab.records.device import read_device
from normlab.records.record import Record

ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class Machine:
    """What times hang on: a GPU, or a processor with its threads.

    device: as records hold it. processor: its model; "" where that was not recorded.
    """

    device: str
    processor: str = ""

    @property
    def label(self) -> str:
        """`NVIDIA H200`, or `AMD EPYC, AVX2, 1 thread`."""
        device = read_device(self.device)
        if not device.architecture or not self.processor:
            return device.label
        threads = f"{device.threads} thread{'s' * (device.threads > 1)}"
        return f"{device.before}{self.processor}, {threads}"

    @property
    def folder(self) -> str:
        """Its name below results/elsewhere/: letters of a to z, digits and hyphens."""
        # Of a GPU the processor beside it moves no name: it is the GPU that is timed.
        words = self.label.lower()
        return re.sub("[^a-z0-9]+", "-", words).strip("-") or "unnamed"


def machine_of(record: Record) -> Machine:
    """Where a trial ran."""
    return Machine(record.device, record.versions.get("processor", ""))


def machine_of_row(row: Mapping[str, Any]) -> Machine:
    """Where a benchmark ran, named like that of a trial."""
    device = str(row.get("device", ""))
    if device == "cpu":
        # `Linux x86_64, 2 cores`: the system, then the architecture.
        architecture = str(row.get("machine", "")).partition(",")[0].rpartition(" ")[2]
        threads = row.get("threads") or 1
        device = f"cpu ({architecture}, {threads} thread{'s' * (threads != 1)})"
    return Machine(device, str(row.get("processor", "")))


def machine_named(row: Mapping[str, Any]) -> Machine:
    """Of a record or a row, whichever it is, as JSON holds it."""
    if "benchmark" in row:
        return machine_of_row(row)
    return Machine(
        str(row.get("device", "")), str((row.get("versions") or {}).get("processor", ""))
    )
