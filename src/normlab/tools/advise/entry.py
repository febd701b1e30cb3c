"""An entry of the table that says what a verdict means for norms, and when.

An entry's sentence holds if its judge finds that the recorded verdict points that way; `opposite` if it points the
other way, and then the sides are swapped; `neither` is a note without a side. An empty sentence is left out. Nothing
here states a result: every number comes from the verdict's row.
"""

from collections.abc import Callable
from dataclasses import dataclass

from normlab.records.verdict import PartVerdict
from normlab.tools.advise.situation import Situation

Judge = Callable[[PartVerdict, Situation], int | None]


def always(s: Situation) -> bool:
    return True


def never(s: Situation) -> bool:
    """Of what no part of a claim measures."""
    return False


@dataclass(frozen=True)
class Entry:
    """One part of a claim (None: the whole claim) as a reason. `{effect}` in a sentence is its effect, in words.

    It bears on a situation `when` it has the norm or the question, and is a reason where that is `given` as it was
    measured, too. Else it is listed as missing, with what it `lacks`.
    """

    slug: str
    part: str | None
    when: Callable[[Situation], bool]
    judge: Judge
    favours: tuple[str, ...]
    against: tuple[str, ...]
    says: str
    opposite: str = ""
    neither: str = ""
    on: str = "norms"  # or placements
    given: Callable[[Situation], bool] = always
    lacks: str = ""  # what the verdict does not say of a situation that is not `given`


def images(s: Situation) -> bool:
    return s.input == "images"


def ample(s: Situation) -> bool:
    """Batches of the size that BatchNorm's advantages were measured with."""
    return s.batch >= 32


def image_batches(low: int, high: int) -> Callable[[Situation], bool]:
    return lambda s: images(s) and low <= s.batch <= high


def transformer(s: Situation) -> bool:
    return s.transformer


def recurrent(s: Situation) -> bool:
    return s.input == "recurrent"


def folding(*inputs: str) -> Callable[[Situation], bool]:
    return lambda s: s.fold and s.input in inputs


def no_warmup(s: Situation) -> bool:
    return not s.warmup


def fits(kind: str, s: Situation) -> bool:
    """Whether a norm over single samples is made for this input: those over positions mix what a text keeps apart."""
    inputs = {GN: ("images", "vectors"), IN: ("images",)}
    return s.input != "recurrent" and s.input in inputs.get(kind, s.input)


def small_batches(kind: str) -> Callable[[Situation], bool]:
    return lambda s: s.batch <= 16 and fits(kind, s)


def several_devices(kind: str) -> Callable[[Situation], bool]:
    return lambda s: s.devices > 1 and fits(kind, s)


BN, LN, GN, IN, RMS, NONE = "batchnorm", "layernorm", "groupnorm", "instancenorm", "rmsnorm", "none"
