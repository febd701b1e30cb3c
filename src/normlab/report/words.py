"""Data sets in words, and what a page calls verdicts and norms."""

from typing import NamedTuple

from normlab.records.record import Record
from normlab.records.verdict import INCONCLUSIVE, NO_DATA, PARTLY, REFUTED, SUPPORTED


class NormName(NamedTuple):
    """A kind of norm as a reader writes it, and what fits under a column of a figure."""

    name: str
    short: str


NORM_NAMES = {
    "batchnorm": NormName("BatchNorm", "BN"),
    "batchrenorm": NormName("BatchRenorm", "BRN"),
    "groupnorm": NormName("GroupNorm", "GN"),
    "layernorm": NormName("LayerNorm", "LN"),
    "channel_layernorm": NormName("LayerNorm over channels", "LN(C)"),
    "instancenorm": NormName("InstanceNorm", "IN"),
    "rmsnorm": NormName("RMSNorm", "RMS"),
    "frn": NormName("FRN", "FRN"),
}
# A verdict's class in the style sheet, where it has a colour and a sign of its own.
CLASSES = {SUPPORTED: "yes", PARTLY: "partly", REFUTED: "no", INCONCLUSIVE: "open", NO_DATA: "none"}


def norm_name(norm: str) -> NormName:
    """A kind without a name of its own, or an arm's name, stays as it is."""
    return NORM_NAMES.get(norm) or NormName(norm, norm)


def data_label(record: Record) -> str:
    """The data set as its record names it, with what was used of it: cifar10 (JPEG copy), 5,000
    images of 16×16."""
    name = record.data.get("name") or "unnamed data"
    options = record.section("data")
    subset, size = options.get("subset"), options.get("image_size")
    if "context" in options:
        used = f"{subset:,} characters" if subset else ""
    else:
        used = f"{subset:,} images" if subset else ("images" if size else "")
        used += f" of {size}×{size}" if size else ""
    return f"{name}, {used}" if used else name
