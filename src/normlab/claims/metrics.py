"""What the metrics of records are: unit, scale, and which way is better. Torch-free."""

import math
from dataclasses import dataclass
from enum import Enum


class Better(Enum):
    """Which way a metric is better; `neither` for what only describes."""

    higher = "higher"
    lower = "lower"
    neither = "neither"


@dataclass(frozen=True)
class Metric:
    """A number of a record. `scale` turns it into what is shown, in `unit`.

    base: of the logarithm that is recorded, where it is one; then what it is of is shown.
    """

    name: str
    words: str
    better: Better = Better.neither
    unit: str = ""  # of a single value
    difference: str = ""  # unit of a difference of two
    scale: float = 1.0
    base: float | None = None

    @property
    def label(self) -> str:
        """For an axis."""
        return f"{self.words}, {self.unit}" if self.unit == "%" else self.words

    def shown(self, value: float) -> float:
        """A recorded value as figures and tables have it."""
        # A made-up logarithm may be one of a number beyond all floats.
        return self.scale * value if self.base is None else self.base ** min(value, 300.0)

    def score(self, value: float) -> float:
        """Higher is better."""
        return -value if self.better is Better.lower else value


# Where the name alone does not tell which statistics the norms used.
_WORDS = {
    "precise_test_accuracy": ("test accuracy with statistics re-estimated over the training split"),
    "batch_test_accuracy": "test accuracy with the statistics of each test batch",
    "instance_test_accuracy": "test accuracy with the statistics of each sample",
}


def metric(name: str) -> Metric:
    """The metric of that name in a record. Its last word says what kind of number it is."""
    words = _WORDS.get(name) or name.replace("_", " ")
    if name.endswith("accuracy"):
        return Metric(name, words, Better.higher, "%", "points", 100.0)
    if name.endswith("loss"):
        # Cross-entropies, by the natural logarithm.
        return Metric(name, words, Better.lower, "", "nats")
    return Metric(name, words)


def percent(words: str) -> Metric:
    """For `Claim.metrics`: a share, recorded as a number from 0 to 1 and shown in per cent."""
    return Metric("", words, unit="%", difference="points", scale=100.0)


def logarithm(words: str, base: float = math.e) -> Metric:
    """For `Claim.metrics`: recorded as a logarithm; what it is of, as `words` say, is shown."""
    return Metric("", words, base=base)
