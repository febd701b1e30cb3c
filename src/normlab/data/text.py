"""Character-level text as one byte per character on the device, with its windows."""

import hashlib
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from normlab.data.options import TextDataConfig
from normlab.data.sampling import epoch_generator, local_part
from normlab.data.splits import first
from normlab.data.text_sources import RawText
from normlab.errors import NormLabError

_MAX_CHARACTERS = 255

Codes = NDArray[np.uint32]  # code points, (characters,)
Tokens = NDArray[np.uint8]  # places in the vocabulary, (characters,)


class TextData:
    """A text in memory, as `normlab.data.Dataset` describes it.

    The vocabulary holds the characters of the whole training split, whatever the subset, at most
    the 255 most frequent ones; where any other character occurs in some split, one more entry (the
    last) stands for all of those.

    Raises:
        NormLabError: a context, batch or subset that does not fit the text.
    """

    modality = "text"

    def __init__(
        self,
        cfg: TextDataConfig,
        raw: RawText,
        seed: int,
        device: str | torch.device = "cpu",
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.name = raw.name
        self._seed, self._device, self._context = seed, device, cfg.context
        self._batch_size, self._eval_batch_size = cfg.batch_size, cfg.eval_batch_size
        self._part = local_part(cfg.batch_size, rank, world_size)

        texts = {"train": raw.train, "val": raw.val, "test": raw.test}
        codes = {split: _code_points(text) for split, text in texts.items()}
        used = {split: _length(cfg, raw.name, split, len(text)) for split, text in texts.items()}
        _check_context(cfg.context, raw.name, used)
        characters = _vocabulary(codes["train"])
        every = {split: _encode(values, characters) for split, values in codes.items()}
        self.vocabulary = "".join(map(chr, characters))
        # Looked for in whole splits, so that a subset does not change the number of outputs.
        unknown = any((values == len(characters)).any() for values in every.values())
        self.num_outputs = len(characters) + unknown

        tokens = {split: values[: used[split]] for split, values in every.items()}
        self.num_train = len(tokens["train"])
        _check_batch(cfg, self.num_train - cfg.context)
        self.input_shape = (cfg.context,)
        self.steps_per_epoch = max(1, self.num_train // (cfg.batch_size * cfg.context))
        self.trivial_loss = _cross_entropy(tokens["val"], tokens["train"], self.num_outputs)
        self.fingerprint = _fingerprint(self.vocabulary, tokens, cfg.context)
        self._tokens = {
            split: torch.from_numpy(values).to(device) for split, values in tokens.items()
        }
        # (windows, T + 1): every window of the training split, as overlapping rows of one view
        self._windows = self._tokens["train"].unfold(0, cfg.context + 1, 1)
        self._epoch = -1

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """x and y, int64 (N, T), of the 0-based training step `step`: windows at random places.

        y is one character further on.
        """
        epoch, step = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._start_epoch(epoch)
        first_of_batch = step * self._batch_size
        part = slice(first_of_batch + self._part.start, first_of_batch + self._part.stop)
        windows = self._windows.index_select(0, self._starts[part])
        return windows[:, :-1].long(), windows[:, 1:].long()

    def eval_batches(self, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Adjacent windows of the split "train", "val" or "test", in order.

        A rest shorter than T is left out.
        """
        tokens, context = self._tokens[split], self._context
        # Steps of T in windows of T + 1: each character but the first is a target once.
        windows = tokens.unfold(0, context + 1, context)
        for part in windows.split(self._eval_batch_size):
            yield part[:, :-1].long(), part[:, 1:].long()

    def _start_epoch(self, epoch: int) -> None:
        generator = epoch_generator(self._seed, epoch)
        count = self.steps_per_epoch * self._batch_size
        starts = torch.randint(len(self._windows), (count,), generator=generator)
        self._starts = starts.to(self._device)
        self._epoch = epoch


def _code_points(text: str) -> Codes:
    # Four bytes for every character: code points as an array, without a loop in Python.
    return np.frombuffer(text.encode("utf-32-le"), "<u4")


def _length(cfg: TextDataConfig, name: str, split: str, available: int) -> int:
    option = "subset" if split == "train" else "eval_subset"
    what = f"characters of the {split} split of {name}"
    return first(getattr(cfg, option), available, f"data.{option}", what)


def _check_context(context: int, name: str, used: dict[str, int]) -> None:
    shortest = min(used, key=lambda split: used[split])
    if context >= used[shortest]:
        raise NormLabError(
            f"data.context={context} does not fit into the {shortest} split of {name}, "
            f"{used[shortest]} characters: pass less context or more text."
        )


def _check_batch(cfg: TextDataConfig, windows: int) -> None:
    if cfg.batch_size > windows:
        raise NormLabError(
            f"data.batch_size={cfg.batch_size} is larger than the training set of {windows} "
            f"windows: pass at most {windows}."
        )


def _vocabulary(codes: Codes) -> Codes:
    """The code points to keep, ascending.

    So few that a character and the unknown one always fit into a byte.
    """
    characters, counts = np.unique(codes, return_counts=True)
    most_frequent = np.argsort(-counts, kind="stable")[:_MAX_CHARACTERS]
    return np.sort(characters[most_frequent])


def _encode(codes: Codes, characters: Codes) -> Tokens:
    """Each code point's place in `characters`, len(characters) where it has none."""
    place = np.searchsorted(characters, codes)
    # A code point past the largest has no place to look at.
    known = characters[np.minimum(place, len(characters) - 1)] == codes
    return np.where(known, place, len(characters)).astype(np.uint8)


def _cross_entropy(tokens: Tokens, training_tokens: Tokens, num_outputs: int) -> float:
    """Nats a token under the training tokens' frequencies.

    One is added to each count, so that no token is impossible.
    """
    model = np.bincount(training_tokens, minlength=num_outputs) + 1.0
    frequency = np.bincount(tokens, minlength=num_outputs) / len(tokens)
    return float(-(frequency * np.log(model / model.sum())).sum())


def _fingerprint(vocabulary: str, tokens: dict[str, Tokens], context: int) -> str:
    digest = hashlib.sha256(repr((vocabulary, context)).encode())
    for split, values in tokens.items():
        digest.update(f"{split}{len(values)}".encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()[:12]
