"""The options of the `data` group: their types, and what no data set can take. Torch-free."""

from dataclasses import dataclass
from enum import Enum

from normlab.errors import NormLabError


@dataclass
class DataConfig:
    name: str
    batch_size: int = 64
    eval_batch_size: int = 500
    subset: int | None = None  # training images or characters; null = all
    eval_subset: int | None = None  # validation and test images or characters, each; null = all


@dataclass
class ImageDataConfig(DataConfig):
    image_size: int | None = None  # pixels a side; null = as stored
    augment: bool = True  # random crop after zero padding, horizontal flip
    crop_padding: int = 4
    flip: bool = True
    group_size: int | None = None  # consecutive training samples that show only ...
    group_classes: int | None = None  # ... so many classes; null, both: no groups
    # Image i of a split is shown in style i modulo their number; null = as it is
    styles: list[int] | None = None


@dataclass
class ImageFolderConfig(ImageDataConfig):
    path: str | None = None


@dataclass
class TextDataConfig(DataConfig):
    context: int = 64  # characters that the model sees


@dataclass
class TextFileConfig(TextDataConfig):
    path: str | None = None


class DocumentTask(Enum):
    classify = "classify"
    masked = "masked"


@dataclass
class DocumentDataConfig(DataConfig):
    task: DocumentTask = DocumentTask.classify
    context: int = 64  # tokens that a document is padded to
    eval_context: int | None = None  # the same in evaluation; null = context
    crop: int | None = None  # tokens that are kept of a document; null = context
    vocabulary: int = 2000
    mask_share: float = 0.15


# By the name of the data set.
DATA_CONFIGS: dict[str, type[DataConfig]] = {
    "digits": ImageDataConfig,
    "cifar10": ImageDataConfig,
    "cifar100": ImageDataConfig,
    "imagefolder": ImageFolderConfig,
    "pydoc": TextDataConfig,
    "tiny_shakespeare": TextDataConfig,
    "wikitext2": TextDataConfig,
    "textfile": TextFileConfig,
    "pydoc_lines": DocumentDataConfig,
    "ag_news": DocumentDataConfig,
}

# Option -> smallest value; None, where the schema allows it, means "as it is"
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
_STYLES = 2**32  # seeds of numpy's RandomState


def check_options(cfg: DataConfig) -> None:
    """Return if the options make sense by themselves; with the data they are checked on loading.

    Raises:
        NormLabError: a value below what any data set can take, or lengths that contradict.
    """
    for option, smallest in _SMALLEST.items():
        value = getattr(cfg, option, None)
        if value is not None and value < smallest:
            raise NormLabError(f"data.{option}={value} is too small: pass {smallest} or more.")
    for style in getattr(cfg, "styles", None) or ():
        if not 0 <= style < _STYLES:
            raise NormLabError(
                f"data.styles has {style}, which is no style: pass whole numbers from 0 to "
                f"{_STYLES - 1}."
            )
    if isinstance(cfg, DocumentDataConfig):
        _check_documents(cfg)


def _check_documents(cfg: DocumentDataConfig) -> None:
    if not 0 < cfg.mask_share < 1:
        raise NormLabError(
            f"data.mask_share={cfg.mask_share} is no share of the tokens: pass one between 0 and 1."
        )
    if cfg.crop is not None and cfg.crop > cfg.context:
        raise NormLabError(
            f"data.crop={cfg.crop} does not fit into data.context={cfg.context}: pass at most that."
        )
    # Training and evaluation keep the same tokens, so evaluation must have room for all of them.
    kept, padded_to = cfg.crop or cfg.context, cfg.eval_context
    if padded_to is not None and padded_to < kept:
        raise NormLabError(
            f"data.eval_context={padded_to} is less than the {kept} tokens that are kept of a "
            f"document: pass at least {kept}, or a smaller data.crop."
        )
