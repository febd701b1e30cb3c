"""The figures that a claim can have on its card, as facts; normlab.report draws them.
Torch-free."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Sweep:
    """A metric over the coordinate `x` of the arms, one line for each combination of `by`.

    Arms without that coordinate are not drawn, unless `bands` names them: those reach over all x.
    The metric is the first that a rule reads, if none is given.
    """

    x: str
    x_label: str
    by: tuple[str, ...] = ("norm",)
    metric: str | None = None
    bands: tuple[str, ...] = ()


@dataclass(frozen=True)
class NormalizationBatch:
    """Accuracy against the normalization batch: the headline figure.

    Lines of the norms in `lines` over the arms' coordinate `normalization_batch`, the first once
    more with statistics re-estimated after training, where the arms record them; `bands` are arms.
    """

    lines: tuple[str, ...] = ("batchnorm", "batchrenorm")
    bands: tuple[str, ...] = ()


@dataclass(frozen=True)
class HeatMap:
    """A table of mean losses: rows by the coordinates `by`, columns by the coordinate `x`."""

    x: str
    x_label: str
    by: tuple[str, ...]
    metric: str = "test_loss"


@dataclass(frozen=True)
class Band:
    """A range of ratios that the claim speaks of."""

    low: float
    high: float
    words: str


@dataclass(frozen=True)
class Cells:
    """Ratios of times over the size of the input, a line for each of `arms` (all, if none is
    named).

    A mark is one reading's median over the cells of that size; void cells are left out.
    """

    x_label: str
    y_label: str = "ratio of times"
    arms: tuple[str, ...] = ()
    band: Band | None = None


@dataclass(frozen=True)
class Curve:
    """`train_loss`, `val_loss` or `val_accuracy` over the steps: thin lines are trials, the thick
    one is their mean."""

    name: str = "train_loss"


@dataclass(frozen=True)
class Course:
    """How the ratio of two arms goes on within the trials, a line for each of `lines`.

    `lines` are metrics by their words: "{metric} at {x}" of a record is a natural logarithm, and a
    mark the ratio `baseline` over `arm` of their geometric means over the seeds.
    """

    lines: Mapping[str, str]
    arm: str
    baseline: str
    xs: tuple[float, ...]
    x_label: str
    y_label: str
    even: str = "equal"  # what a ratio of 1 says


@dataclass(frozen=True)
class Against:
    """One metric against another: a cloud of trials for each of `arms`, all if none is named.

    log_x: `x` is a natural logarithm in the records, and is shown as what it is of.
    """

    x: str
    x_label: str
    y: str
    y_label: str
    arms: tuple[str, ...] = ()
    log_x: bool = False


Figure = Sweep | NormalizationBatch | HeatMap | Cells | Curve | Course | Against
