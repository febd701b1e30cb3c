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


def as_measurement(given: "Measurement | Mapping[str, object]") -> Measurement:
    """Of a trial that gives its metrics alone, or with `data` and `device` among them."""
    if isinstance(given, Measurement):
        return given
    # A copy, since two of its entries are no metrics and are taken out.
    metrics = dict(given)
    data = metrics.pop("data", TENSORS)
    device = metrics.pop("device", None)
    return Measurement(metrics, data, device)  # type: ignore[arg-type]
