"""What a claim's own trial gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from normlab.records.record import DataSource

TENSORS: DataSource = {"name": "tensors", "fingerprint": ""}  # drawn from the trial's seed


@dataclass(frozen=True)
class Measurement:
    """Metrics, and where they come from."""

    metrics: Mapping[str, float | None]
    data: DataSource = field(default_factory=lambda: TENSORS)
    device: str | None = None  # None: one thread of the CPU


def as_measurement(given: "Measurement | Mapping[str, float | None]") -> Measurement:
    """Of a trial that gives no more than its metrics, too."""
    return given if isinstance(given, Measurement) else Measurement(given)
