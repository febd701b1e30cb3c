"""Data sets in words, and what a page calls verdicts and norms."""

from normlab.records.record import Record
from normlab.records.verdict import INCONCLUSIVE, NO_DATA, PARTLY, REFUTED, SUPPORTED

SHORT = {  # what fits under a column of a figure
    "batchnorm": "BN",
    "batchrenorm": "BRN",
    "groupnorm": "GN",
    "layernorm": "LN",
    "channel_layernorm": "LN(C)",
    "instancenorm": "IN",
    "rmsnorm": "RMS",
    "frn": "FRN",
}
NORM_NAMES = {  # as a reader writes them
    "batchnorm": "BatchNorm",
    "batchrenorm": "BatchRenorm",
    "groupnorm": "GroupNorm",
    "layernorm": "LayerNorm",
    "frn": "FRN",
}
# A verdict's class in the style sheet, where it has a colour and a sign of its own.
CLASSES = {SUPPORTED: "yes", PARTLY: "partly", REFUTED: "no", INCONCLUSIVE: "open", NO_DATA: "none"}


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
