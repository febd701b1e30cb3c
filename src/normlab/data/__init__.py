"""Data sets in memory on the device. Importing this package does not import torch."""

from typing import TYPE_CHECKING, Any

from normlab.data.availability import DOCUMENT_SETS, IMAGE_SETS
from normlab.data.availability import check_available as _check_source
from normlab.data.options import check_options

if TYPE_CHECKING:
    import torch

    from normlab.data.documents import DocumentData
    from normlab.data.images import ImageData
    from normlab.data.text import TextData

__all__ = ["check_available", "load_data"]


def check_available(cfg: Any) -> None:
    """Return if `cfg` (the `data` group) can be loaded: sensible options, and data that are here or can be fetched.

    Torch-free and done within a second. Raises NormLabError with one sentence that says what to pass instead.
    """
    check_options(cfg)
    _check_source(cfg)


def load_data(
    cfg: Any,
    seed: int,
    device: "str | torch.device" = "cpu",
    rank: int = 0,
    world_size: int = 1,
    channels_last: bool = False,
) -> "DocumentData | ImageData | TextData":
    """The data set that `cfg` (the `data` group) names, in memory on `device`, with batches that `seed` decides.

    What is returned has

    - `name`, and `fingerprint`: a short hash of the content and of each option that changes the tensors or the split;
    - `modality`: "image"; "text", the character that follows each; "documents", the class of each; "masked", the
      hidden words of each; `input_shape`: (C, H, W), (T,), or (T, vocabulary) of documents, T being the longest that
      training or evaluation pads to; `num_outputs`: classes or vocabulary;
    - `trivial_loss`, in nats: the cross-entropy of the validation targets under the frequencies of the training
      labels, characters or words: ln of the number of classes where these are equally many;
    - `num_train`: images, characters or documents; `steps_per_epoch`: an incomplete last batch is left out;
    - `batch(step) -> (x, y)`: the training batch of a 0-based step, the same whenever it is asked for; x float32
      (N, C, H, W) or int64 (N, T), y int64: (N,) classes or (N, T) characters that follow, or hidden words and -100
      elsewhere. N is `cfg.batch_size`, or with `world_size` > 1 the contiguous `rank`-th part of that global batch;
    - `eval_batches(split)`: "train", "val" or "test" once, in order, without augmentation, the same words hidden.

    Documents also have `padding_share`, of the tokens of the training split.

    The splits are the same for every seed. Raises NormLabError for data or options that cannot be used.
    """
    check_available(cfg)
    if cfg.name in IMAGE_SETS:
        from normlab.data.image_sources import read_images
        from normlab.data.images import ImageData

        return ImageData(cfg, read_images(cfg), seed, device, rank, world_size, channels_last)
    if cfg.name in DOCUMENT_SETS:
        from normlab.data.document_sources import read_documents
        from normlab.data.documents import DocumentData

        return DocumentData(cfg, read_documents(cfg), seed, device, rank, world_size)
    from normlab.data.text import TextData
    from normlab.data.text_sources import read_text

    return TextData(cfg, read_text(cfg), seed, device, rank, world_size)
