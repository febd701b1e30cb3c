"""Metrics and data sets in words, and what a page calls verdicts and norms."""

from normlab.claims.trials import is_share
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
_METRICS = {
    "precise_test_accuracy": "test accuracy with statistics re-estimated over the training split",
    "batch_test_accuracy": "test accuracy with the statistics of each test batch",
    "instance_test_accuracy": "test accuracy with the statistics of each sample",
}
# A verdict's class in the style sheet, where it has a colour and a sign of its own.
CLASSES = {SUPPORTED: "yes", PARTLY: "partly", REFUTED: "no", INCONCLUSIVE: "open", NO_DATA: "none"}


def metric_label(metric: str) -> str:
    """A metric's name in words, with its unit where it has one."""
    label = _METRICS.get(metric) or metric.replace("_", " ")
    return f"{label}, %" if is_share(metric) else label


def data_label(record: Record) -> str:
    """The data set as its record names it, with what was used of it: cifar10 (JPEG copy), 5,000 images of 16×16."""
    name = record.data.get("name") or "unnamed data"
    options = record.config.get("data", {})
    subset, size = options.get("subset"), options.get("image_size")
    if "context" in options:
        used = f"{subset:,} characters" if subset else ""
    else:
        used = f"{subset:,} images" if subset else ("images" if size else "")
        used += f" of {size}×{size}" if size else ""
    return f"{name}, {used}" if used else name
