"""Documents as padded rows of word tokens on the device, to classify or to find hidden words in."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from normlab.data.document_sources import RawDocuments, split_documents
from normlab.data.options import DocumentDataConfig, DocumentTask
from normlab.data.sampling import epoch_generator, local_part
from normlab.data.splits import first
from normlab.errors import NormLabError
from normlab.models.layers import PAD

UNKNOWN, MASK = 1, 2
SPECIAL = ("<pad>", "<unknown>", "<mask>")
IGNORED = -100  # a target that is not to be predicted
_EVALUATION_SEED = 0


class DocumentData:
    """Documents in memory, as `normlab.data.Dataset` describes them.

    The first `crop` tokens of a document are kept (`context` without a crop) and padded at the end.
    With a crop, documents of fewer tokens are left out, so that every row has exactly `crop`
    tokens, however far it is padded; the rest is the same for every context: documents, their
    order, hidden words.

    `vocabulary` is that of the whole training split, whatever the subset and the crop. In
    task=masked every known word is hidden with probability `mask_share`, at least one in a
    document, and shown as MASK, always: what BERT (Devlin et al. 2019) does otherwise, a random or
    the right word for one in five, is for fine-tuning on text without masks. Which words, is drawn
    anew in each epoch, and once for all in evaluation. UNKNOWN is a target only in a document that
    has nothing else.

    Raises:
        NormLabError: a crop, batch or subset that does not fit the documents.
    """

    def __init__(
        self,
        cfg: DocumentDataConfig,
        raw: RawDocuments,
        seed: int,
        device: str | torch.device = "cpu",
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.name, self._seed, self._device = raw.name, seed, device
        self._masked = cfg.task is DocumentTask.masked
        self.modality = "masked" if self._masked else "documents"
        self._context, self._eval_context = cfg.context, cfg.eval_context or cfg.context
        self._mask_share = cfg.mask_share
        self._batch_size, self._eval_batch_size = cfg.batch_size, cfg.eval_batch_size
        self._part = local_part(cfg.batch_size, rank, world_size)
        self._kept = cfg.crop or cfg.context

        indices = split_documents(raw.labels)
        # Of the whole split, before any subset or crop: tokens then mean the same in every trial.
        training = (raw.documents[i] for i in indices["train"])
        self.vocabulary = (*SPECIAL, *_frequent_words(training, cfg.vocabulary - len(SPECIAL)))
        token_of = {word: token for token, word in enumerate(self.vocabulary)}
        self._tokens: dict[str, Tensor] = {}  # split -> int64 (n, kept tokens)
        self._labels: dict[str, Tensor] = {}  # split -> int64 (n,)
        for split, every in indices.items():
            index = _chosen(cfg, raw, split, every)
            rows = _rows((raw.documents[i] for i in index), token_of, self._kept)
            self._tokens[split] = torch.from_numpy(rows).to(device)
            self._labels[split] = torch.from_numpy(raw.labels[index].astype(np.int64)).to(device)

        self.num_train = len(self._tokens["train"])
        _check_batch(cfg.batch_size, self.num_train)
        self.steps_per_epoch = self.num_train // cfg.batch_size
        self.input_shape = (max(self._context, self._eval_context), len(self.vocabulary))
        shown = int((self._tokens["train"] != PAD).sum())
        self.padding_share = 1 - shown / (self.num_train * self._context)
        self._maskable = {split: _maskable(tokens) for split, tokens in self._tokens.items()}
        self._hidden = {split: self._masks(split) for split in self._tokens} if self._masked else {}
        self.num_outputs = len(self.vocabulary) if self._masked else raw.num_classes
        self.trivial_loss = self._trivial_loss()
        # The epoch whose order and hidden words are in memory: none yet.
        self._epoch = -1
        # An option without effect is no part of what the tensors are.
        share = cfg.mask_share * self._masked
        options = (cfg.task.value, self._context, self._eval_context, self.vocabulary, share)
        self.fingerprint = _fingerprint(self._tokens, self._labels, *options)

    def _trivial_loss(self) -> float:
        targets, known = self._labels["val"], self._labels["train"]
        if self._masked:
            targets = self._tokens["val"][self._hidden["val"]]
            known = self._tokens["train"][self._maskable["train"]]
        return _cross_entropy(targets, known, self.num_outputs)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """x int64 (N, T), T the context, and y of the 0-based training step `step`.

        y is int64 (N,), or (N, T) if masked.
        """
        epoch, step = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._start_epoch(epoch)
        first_of_batch = step * self._batch_size
        part = slice(first_of_batch + self._part.start, first_of_batch + self._part.stop)
        index = self._order[part]
        hidden = self._hidden_in_epoch[part] if self._masked else None
        return self._padded("train", index, hidden, self._context)

    def eval_batches(self, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """The split "train", "val" or "test" once, in its fixed order.

        The last batch may be smaller.
        """
        every = torch.arange(len(self._labels[split]), device=self._device)
        for index in every.split(self._eval_batch_size):
            hidden = self._hidden[split][index] if self._masked else None
            yield self._padded(split, index, hidden, self._eval_context)

    def _padded(
        self, split: str, index: Tensor, hidden: Tensor | None, length: int
    ) -> tuple[Tensor, Tensor]:
        # Rows are stored unpadded past what is kept, and padded batch by batch.
        x, missing = self._tokens[split][index], (0, length - self._kept)
        if hidden is None:
            return F.pad(x, missing, value=PAD), self._labels[split][index]
        y = x.masked_fill(~hidden, IGNORED)
        x = F.pad(x.masked_fill(hidden, MASK), missing, value=PAD)
        return x, F.pad(y, missing, value=IGNORED)

    def _start_epoch(self, epoch: int) -> None:
        # All that is random in an epoch is drawn here, on the CPU: the same on every device and
        # after a resume.
        generator = epoch_generator(self._seed, epoch)
        used = self.steps_per_epoch * self._batch_size
        self._order = torch.randperm(self.num_train, generator=generator)[:used].to(self._device)
        if self._masked:
            # Over kept tokens and not the padded length: more padding changes no draw.
            draws = torch.rand(used, self._kept, generator=generator).to(self._device)
            maskable = self._maskable["train"][self._order]
            self._hidden_in_epoch = _hide(draws, maskable, self._mask_share)
        self._epoch = epoch

    def _masks(self, split: str) -> Tensor:
        # One stream a split and not the run's seed: every run is asked for the same words.
        generator = epoch_generator(_EVALUATION_SEED, sorted(self._tokens).index(split))
        draws = torch.rand(len(self._tokens[split]), self._kept, generator=generator)
        return _hide(draws.to(self._device), self._maskable[split], self._mask_share)


def _frequent_words(documents: Iterable[list[str]], count: int) -> list[str]:
    """The `count` most frequent words, by the alphabet where they are equally frequent."""
    counts = Counter(word for document in documents for word in document)
    return sorted(counts, key=lambda word: (-counts[word], word))[:count]


def _chosen(
    cfg: DocumentDataConfig, raw: RawDocuments, split: str, index: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Of a split's `index`, the documents that are long enough, as many as asked for."""
    if cfg.crop is not None:
        lengths = np.array([len(raw.documents[i]) for i in index])
        if lengths.max() < cfg.crop:
            raise NormLabError(
                f"data.crop={cfg.crop} leaves no document in the {split} split of {raw.name}: "
                f"pass at most {lengths.max()}."
            )
        index = index[lengths >= cfg.crop]
    option = "subset" if split == "train" else "eval_subset"
    what = f"documents of the {split} split of {raw.name}"
    return index[: first(getattr(cfg, option), len(index), f"data.{option}", what)]


def _check_batch(batch_size: int, num_train: int) -> None:
    if batch_size > num_train:
        raise NormLabError(
            f"data.batch_size={batch_size} is larger than the training set of {num_train} "
            f"documents: pass at most {num_train}."
        )


def _rows(
    documents: Iterable[list[str]], token_of: dict[str, int], length: int
) -> NDArray[np.int64]:
    """(N, length): the first tokens of each document, then PAD."""
    rows = []
    for document in documents:
        row = [token_of.get(word, UNKNOWN) for word in document[:length]]
        rows.append(row + [PAD] * (length - len(row)))
    return np.array(rows)


def _maskable(tokens: Tensor) -> Tensor:
    """bool (N, T): the known words; all tokens of a document that has none."""
    known = tokens > MASK
    # A row without a known word would have no target at all.
    return torch.where(known.any(1, keepdim=True), known, tokens != PAD)


def _hide(draws: Tensor, maskable: Tensor, share: float) -> Tensor:
    """bool (N, T): a share of `maskable` and at least one in each row.

    From `draws` (N, T), uniform on [0, 1).
    """
    # Above every draw, so that neither the share nor the smallest of a row is one of these.
    draws = draws.masked_fill(~maskable, 2.0)
    return (draws < share) | (draws == draws.amin(1, keepdim=True))


def _cross_entropy(targets: Tensor, known: Tensor, num_outputs: int) -> float:
    """Nats a target under the frequencies of `known`.

    One is added to each count, so that no target is impossible.
    """
    model = torch.bincount(known, minlength=num_outputs).double() + 1
    return float(-(model / model.sum()).log()[targets].mean())


def _fingerprint(tokens: dict[str, Tensor], labels: dict[str, Tensor], *options: object) -> str:
    digest = hashlib.sha256(repr(options).encode())
    for split, rows in tokens.items():
        digest.update(f"{split}{tuple(rows.shape)}".encode())
        digest.update(rows.cpu().numpy().data)
        digest.update(labels[split].cpu().numpy().data)
    return digest.hexdigest()[:12]
