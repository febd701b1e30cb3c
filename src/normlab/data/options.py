"""The options of the `data` group that no data set can take, refused before anything is loaded."""

from typing import Any

from normlab.errors import NormLabError

# option -> smallest value; None, where the schema allows it, means "as it is"
_SMALLEST = {
    "batch_size": 1,
    "eval_batch_size": 1,
    "subset": 1,
    "eval_subset": 1,
    "image_size": 1,
    "crop_padding": 0,
    "group_size": 1,
    "group_classes": 1,
    "context": 1,
}


def check_options(cfg: Any) -> None:
    """NormLabError for a value below what makes sense; what depends on the data is checked where they are loaded."""
    for option, smallest in _SMALLEST.items():
        value = getattr(cfg, option, None)
        if value is not None and value < smallest:
            raise NormLabError(f"data.{option}={value} is too small: pass {smallest} or more.")
