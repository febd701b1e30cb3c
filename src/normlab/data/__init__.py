"""Data sets in memory on the device. Importing this package does not import torch."""

from typing import TYPE_CHECKING

from normlab.data.availability import check_available as _check_source
from normlab.data.dataset import Dataset
from normlab.data.options import (
    DataConfig,
    DocumentDataConfig,
    ImageDataConfig,
    TextDataConfig,
    check_options,
)

if TYPE_CHECKING:
    import torch

__all__ = ["Dataset", "check_available", "load_data"]


def check_available(cfg: DataConfig) -> None:
    """Return if `cfg` can be loaded: sensible options, and data that are here or can be fetched.

    Torch-free and done within a second.

    Raises:
        NormLabError: it cannot, with what to pass instead.
    """
    check_options(cfg)
    _check_source(cfg)


def load_data(
    cfg: DataConfig,
    seed: int,
    device: "str | torch.device" = "cpu",
    *,
    rank: int = 0,
    world_size: int = 1,
    channels_last: bool = False,
) -> Dataset:
    """The data set that `cfg` names, in memory on `device`, with batches that `seed` decides.

    The splits are the same for every seed. With `world_size` > 1 a batch is the contiguous
    `rank`-th part of the global batch of `cfg.batch_size`. Documents also have `padding_share`, of
    the tokens of the training split, and text and documents have their `vocabulary`.

    Raises:
        NormLabError: data or options that cannot be used.
    """
    check_available(cfg)
    # Imported only now: these modules need torch, and importing this package does not.
    if isinstance(cfg, ImageDataConfig):
        from normlab.data.image_sources import read_images
        from normlab.data.image_splits import check_classes
        from normlab.data.images import ImageData

        images = read_images(cfg)
        check_classes(cfg, images)
        return ImageData(
            cfg,
            images,
            seed,
            device,
            rank=rank,
            world_size=world_size,
            channels_last=channels_last,
        )
    if isinstance(cfg, DocumentDataConfig):
        from normlab.data.document_sources import read_documents
        from normlab.data.documents import DocumentData

        documents = read_documents(cfg)
        return DocumentData(cfg, documents, seed, device, rank=rank, world_size=world_size)
    from normlab.data.text import TextData
    from normlab.data.text_sources import read_text

    assert isinstance(cfg, TextDataConfig), f"no data set reads a {type(cfg).__name__}"
    return TextData(cfg, read_text(cfg), seed, device, rank=rank, world_size=world_size)
