"""The situations that the table speaks of, and the kinds of norm by short names."""

from collections.abc import Callable

from normlab.tools.advise.situation import Situation

Condition = Callable[[Situation], bool]

BN, LN, GN, IN, RMS, NONE = "batchnorm", "layernorm", "groupnorm", "instancenorm", "rmsnorm", "none"


def always(s: Situation) -> bool:
    return True


def never(s: Situation) -> bool:
    """Of what no part of a claim measures."""
    return False


def images(s: Situation) -> bool:
    return s.input == "images"


def ample(s: Situation) -> bool:
    """Batches of the size that BatchNorm's advantages were measured with."""
    return s.batch >= 32


def image_batches(low: int, high: int) -> Condition:
    return lambda s: images(s) and low <= s.batch <= high


def transformer(s: Situation) -> bool:
    return s.transformer


def causal(s: Situation) -> bool:
    return s.input == "causal"


def recurrent(s: Situation) -> bool:
    return s.input == "recurrent"


def documents(low: int, high: int, *, padded: bool = False) -> Condition:
    """Batches of documents of these sizes; padded: of documents of several lengths."""
    return lambda s: s.input == "sequences" and low <= s.batch <= high and (s.varying or not padded)


def warmed_up(low: int, high: int) -> Condition:
    """Transformers of these depths whose learning rate warms up."""
    return lambda s: s.transformer and s.warmup and low <= s.depth <= high


def must_fold(s: Situation) -> bool:
    return s.fold


def folding(*inputs: str) -> Condition:
    return lambda s: s.fold and s.input in inputs


def no_warmup(s: Situation) -> bool:
    return not s.warmup


def fits(kind: str, s: Situation) -> bool:
    """Whether a norm over single samples is made for this input.

    Those over positions mix what a text keeps apart.
    """
    inputs = {GN: ("images", "vectors"), IN: ("images",)}
    # A kind that is not in it fits every input: `in` then asks whether a word holds itself.
    return s.input != "recurrent" and s.input in inputs.get(kind, s.input)


def small_batches(kind: str) -> Condition:
    return lambda s: s.batch <= 16 and fits(kind, s)


def on_several_devices(s: Situation) -> bool:
    return s.devices > 1


def several_devices(kind: str) -> Condition:
    return lambda s: s.devices > 1 and fits(kind, s)
