"""What training reads of a data set, whatever lies in it. Torch-free at import."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Dataset(Protocol):
    """A data set in memory on a device, with training batches that a seed decides."""

    @property
    def name(self) -> str:
        """As records say it: that of the option, or with what is missing of the published set."""

    @property
    def fingerprint(self) -> str:
        """A short hash of the content and of each option that changes the tensors or the split."""

    @property
    def modality(self) -> str:
        """What is asked of a model.

        "image": the class of each; "text": the character that follows each; "documents": the class
        of each; "masked": the hidden words of each.
        """

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(C, H, W) of images; (T,) of text; (T, vocabulary) of documents.

        T is the longest that training or evaluation pads a document to.
        """

    @property
    def num_outputs(self) -> int:
        """Classes or vocabulary."""

    @property
    def trivial_loss(self) -> float:
        """What a model reaches that ignores its input, in nats.

        The cross-entropy of the validation targets under the frequencies of the training labels,
        characters or words: ln of the number of classes where these are equally many, as they are
        in the published sets of images.
        """

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one epoch; an incomplete last one is left out."""

    def batch(self, step: int) -> "tuple[Tensor, Tensor]":
        """The training batch of the 0-based `step`, the same whenever it is asked for.

        x float32 (N, C, H, W) or int64 (N, T); y int64: (N,) classes, or (N, T) characters that
        follow, or hidden words and -100 elsewhere. N is `batch_size`, or this process's part of it.
        """

    def eval_batches(self, split: str) -> "Iterator[tuple[Tensor, Tensor]]":
        """ "train", "val" or "test" once, in order, unaugmented, with the same words hidden."""
