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
    "eval_context": 1,
    "crop": 1,
    "vocabulary": 4,  # three tokens stand for no word
}


def check_options(cfg: Any) -> None:
    """NormLabError for a value below what makes sense; what depends on the data is checked where they are loaded."""
    for option, smallest in _SMALLEST.items():
        value = getattr(cfg, option, None)
        if value is not None and value < smallest:
            raise NormLabError(f"data.{option}={value} is too small: pass {smallest} or more.")
    if hasattr(cfg, "mask_share"):
        _check_documents(cfg)


def _check_documents(cfg: Any) -> None:
    if not 0 < cfg.mask_share < 1:
        raise NormLabError(
            f"data.mask_share={cfg.mask_share} is no share of the tokens: pass one between 0 and 1."
        )
    if cfg.crop is not None and cfg.crop > cfg.context:
        raise NormLabError(
            f"data.crop={cfg.crop} does not fit into data.context={cfg.context}: pass at most that."
        )
    kept, padded_to = cfg.crop or cfg.context, cfg.eval_context
    if padded_to is not None and padded_to < kept:
        raise NormLabError(
            f"data.eval_context={padded_to} is less than the {kept} tokens that are kept of a document: pass at least "
            f"{kept}, or a smaller data.crop."
        )
