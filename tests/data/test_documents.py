"""What a DocumentData promises: padding to the token, vocabulary, which words are hidden, and
its batches."""

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from samples import document_cfg, numbered_documents

from normlab.data import check_available
from normlab.data.document_sources import RawDocuments, split_documents
from normlab.data.documents import IGNORED, MASK, PAD, SPECIAL, UNKNOWN, DocumentData
from normlab.errors import NormLabError

SPLITS = ("train", "val", "test")


RAW = numbered_documents()
ALL_WORDS = 3 + 30 + 200


def make(
    task: str = "classify", raw: RawDocuments = RAW, seed: int = 0, **options: Any
) -> DocumentData:
    return DocumentData(document_cfg(task=task, **{"vocabulary": ALL_WORDS, **options}), raw, seed)


def words(data: DocumentData, x: torch.Tensor) -> list[list[str]]:
    return [[data.vocabulary[token] for token in row if token != PAD] for row in x]


def whole(data: DocumentData, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = zip(*data.eval_batches(split), strict=True)
    return torch.cat(x), torch.cat(y)


def refusal(options: Any, raw: RawDocuments | None = None, world_size: int = 1) -> str:
    with pytest.raises(NormLabError) as refused:
        check_available(options)
        DocumentData(options, raw or RAW, 0, world_size=world_size)
    sentence = str(refused.value)
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


# ---- the tensors


@pytest.mark.parametrize("task", ["classify", "masked"])
def test_shapes_and_types(task):
    data = make(task, context=12, eval_context=17)
    x, y = data.batch(3)
    assert x.dtype == y.dtype == torch.int64 and x.shape == (8, 12)
    assert y.shape == ((8, 12) if task == "masked" else (8,))
    assert all(x.shape[1] == 17 for split in SPLITS for x, _ in data.eval_batches(split))
    assert data.modality == ("masked" if task == "masked" else "documents")
    assert data.input_shape == (17, len(data.vocabulary))
    assert data.num_outputs == (len(data.vocabulary) if task == "masked" else 4)
    assert data.steps_per_epoch == data.num_train // 8


def test_rows_are_the_first_tokens_of_the_documents_then_padding():
    data = make(context=12, vocabulary=1000)
    for split, index in split_documents(RAW.labels).items():
        x, y = whole(data, split)
        known = {word for i in split_documents(RAW.labels)["train"] for word in RAW.documents[i]}
        shown = [
            [word if word in known else SPECIAL[UNKNOWN] for word in RAW.documents[i][:12]]
            for i in index
        ]
        assert words(data, x) == shown and torch.equal(y, torch.from_numpy(RAW.labels[index]))
        assert ((x != PAD).int().diff(dim=1) <= 0).all()  # nothing but padding behind padding


def test_the_split_is_the_same_for_every_seed_task_context_and_crop():
    other = make("masked", seed=5, context=40, crop=15, mask_share=1e-9)
    for split, index in split_documents(RAW.labels).items():
        expected = [RAW.documents[i][:15] for i in index if len(RAW.documents[i]) >= 15]
        x, y = whole(other, split)
        assert words(other, torch.where(y == IGNORED, x, y)) == [
            [word if word in other.vocabulary else "<unknown>" for word in document]
            for document in expected
        ]


@pytest.mark.parametrize(
    ("crop", "context", "share"), [(8, 8, 0.0), (8, 16, 0.5), (8, 32, 0.75), (4, 40, 0.9)]
)
@pytest.mark.parametrize("task", ["classify", "masked"])
def test_a_crop_sets_the_share_of_padding_in_every_row(task, crop, context, share):
    data = make(task, crop=crop, context=context)
    assert data.padding_share == pytest.approx(share)
    assert data.num_train == sum(
        len(RAW.documents[i]) >= crop for i in split_documents(RAW.labels)["train"]
    )
    for x in (data.batch(0)[0], *(whole(data, split)[0] for split in SPLITS)):
        assert ((x == PAD).sum(1) == context - crop).all()


def test_without_a_crop_the_share_of_padding_is_that_of_the_training_rows():
    data = make(context=12, eval_context=30)
    lengths = [min(12, len(RAW.documents[i])) for i in split_documents(RAW.labels)["train"]]
    assert data.padding_share == pytest.approx(1 - sum(lengths) / (12 * len(lengths)))
    assert (whole(data, "val")[0] != PAD).sum(
        1
    ).max() == 12  # what evaluation adds is padding, not text


@pytest.mark.parametrize("task", ["classify", "masked"])
def test_more_padding_changes_nothing_else(task):
    narrow, wide = (make(task, crop=8, context=context) for context in (8, 20))
    batches = [(narrow.batch(step), wide.batch(step)) for step in range(30)]
    for (x, y), (wide_x, wide_y) in [
        *batches,
        *((whole(narrow, s), whole(wide, s)) for s in SPLITS),
    ]:
        assert torch.equal(wide_x[:, :8], x) and (wide_x[:, 8:] == PAD).all()
        assert torch.equal(wide_y[:, :8], y) if task == "masked" else torch.equal(wide_y, y)
        assert task == "classify" or (wide_y[:, 8:] == IGNORED).all()


# ---- the words


def test_the_vocabulary_is_of_the_training_split_alone_whatever_the_crop_and_the_subset():
    train = [word for i in split_documents(RAW.labels)["train"] for word in RAW.documents[i]]
    assert set(make(vocabulary=1000).vocabulary) == {*SPECIAL, *train}
    counts = Counter(train)
    small = make("masked", vocabulary=13)
    assert small.vocabulary == (
        *SPECIAL,
        *sorted(counts, key=lambda word: (-counts[word], word))[:10],
    )
    assert (
        small.num_outputs == 13
        and small.vocabulary[PAD] == "<pad>"
        and small.vocabulary[MASK] == "<mask>"
    )
    for options in ({"subset": 20}, {"crop": 7}, {"context": 3}, {"eval_subset": 5}):
        assert make(vocabulary=13, **options).vocabulary == small.vocabulary
    x, _ = whole(small, "train")
    assert (x == UNKNOWN).any() and x.max() == 12


# ---- hidden words


def test_targets_are_what_is_hidden_and_nothing_else():
    for split in SPLITS:
        data, plain = make("masked", mask_share=0.3, vocabulary=25), make(vocabulary=25)
        (x, y), (shown, _) = whole(data, split), whole(plain, split)
        hidden = x == MASK
        assert torch.equal(hidden, y != IGNORED)
        assert torch.equal(torch.where(hidden, y, x), shown)
        known = (shown > MASK).any(1)
        assert (y[known][hidden[known]] > MASK).all()  # unknown words are no targets ...
        assert (y[~known][hidden[~known]] == UNKNOWN).all()  # ... unless there is no other
        assert hidden.any(1).all() and not hidden[shown == PAD].any()


def test_the_share_of_hidden_words():
    raw = RawDocuments("same", 2, [["a", "b", "c", "d"] * 10] * 400, np.arange(400) % 2)
    data = make("masked", raw, context=40, mask_share=0.25)
    hidden = torch.cat([data.batch(step)[0] == MASK for step in range(100)])
    assert abs(hidden.double().mean() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / hidden.numel())
    assert abs(hidden.double().mean(0) - 0.25).max() < 5 * math.sqrt(
        0.25 * 0.75 / len(hidden)
    )  # everywhere alike
    one = make("masked", raw, context=40, mask_share=1e-9)
    assert (torch.cat([one.batch(step)[0] == MASK for step in range(50)]).sum(1) == 1).all()


def test_training_hides_other_words_in_each_epoch_and_evaluation_the_same_for_ever():
    data, other = make("masked"), make("masked", seed=3)
    epochs = []
    for epoch in (0, 1):
        batches = [
            data.batch(epoch * data.steps_per_epoch + step) for step in range(data.steps_per_epoch)
        ]
        restored = [torch.where(y == IGNORED, x, y) for x, y in batches]
        by_document = zip(
            torch.cat(restored).tolist(), torch.cat([x for x, _ in batches]).tolist(), strict=True
        )
        epochs.append({tuple(row): x for row, x in by_document})
    shared = epochs[0].keys() & epochs[1].keys()
    long = [row for row in shared if row.count(PAD) < 6]
    assert len(long) > 50 and sum(epochs[0][row] != epochs[1][row] for row in long) > 0.8 * len(
        long
    )
    for split in SPLITS:
        assert all(
            torch.equal(a, b) for a, b in zip(whole(data, split), whole(other, split), strict=True)
        )


# ---- the batches


@pytest.mark.parametrize("task", ["classify", "masked"])
def test_batches_depend_on_seed_and_step_alone(task):
    forward, backward = make(task, seed=1), make(task, seed=1)
    before = torch.get_rng_state()
    first = [forward.batch(step) for step in range(40)]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    again = [backward.batch(step) for step in reversed(range(40))][::-1]
    assert all(
        torch.equal(a, b)
        for p, q in zip(first, again, strict=True)
        for a, b in zip(p, q, strict=True)
    )
    assert not torch.equal(first[0][0], make(task, seed=2).batch(0)[0])


def test_an_epoch_shows_each_document_at_most_once():
    data = make(context=20, vocabulary=1000)
    names = [
        row[-1] for step in range(data.steps_per_epoch) for row in words(data, data.batch(step)[0])
    ]
    assert len(set(names)) == len(names) == data.num_train // 8 * 8


@pytest.mark.parametrize("task", ["classify", "masked"])
def test_ranks_parts_make_the_global_batch(task):
    data = make(task)
    ranks = [
        DocumentData(document_cfg(task=task, vocabulary=ALL_WORDS), RAW, 0, rank=rank, world_size=2)
        for rank in (0, 1)
    ]
    for step in (0, 17, 40):
        parts = [rank.batch(step) for rank in ranks]
        for value, halves in zip(data.batch(step), zip(*parts, strict=True), strict=True):
            assert torch.equal(value, torch.cat(halves))


def test_trivial_loss_against_a_hand_computation():
    assert make().trivial_loss == pytest.approx(math.log(4))
    uneven = replace(RAW, labels=np.array([0] * 150 + [1] * 50))
    train, val = (
        np.bincount(uneven.labels[split_documents(uneven.labels)[s]], minlength=4)
        for s in ("train", "val")
    )
    expected = -(val * np.log((train + 1) / (train + 1).sum())).sum() / val.sum()
    assert make(raw=uneven).trivial_loss == pytest.approx(expected) and 0.5 < expected < 0.7

    # 14 training documents: 28 times a, 14 times b, and with the one each of padding, unknown,
    # mask, a and b 47
    same = RawDocuments("same", 2, [["a", "b", "a"]] * 20, np.arange(20) % 2)
    data = make("masked", same, mask_share=0.5, batch_size=4, vocabulary=5)
    targets = [data.vocabulary[y] for y in whole(data, "val")[1].flatten() if y != IGNORED]
    assert {*targets} == {"a", "b"}
    expected = np.mean([-math.log({"a": 29, "b": 15}[word] / 47) for word in targets])
    assert data.trivial_loss == pytest.approx(expected)


def test_fingerprint_changes_with_content_and_options_only():
    def fingerprint(task: str = "masked", raw: RawDocuments = RAW, **options) -> str:
        return make(task, raw, **options).fingerprint

    changed = replace(RAW, documents=[["other"], *RAW.documents[1:]])
    different = [
        fingerprint(),
        fingerprint("classify"),
        fingerprint(raw=changed),
        fingerprint(raw=replace(RAW, labels=RAW.labels[::-1].copy())),
        fingerprint(context=12),
        fingerprint(eval_context=18),
        fingerprint(crop=8),
        fingerprint(vocabulary=20),
        fingerprint(mask_share=0.2),
        fingerprint(subset=30),
        fingerprint(eval_subset=10),
    ]
    assert len(set(different)) == len(different)
    assert (
        fingerprint(seed=1)
        == fingerprint(batch_size=2)
        == fingerprint(eval_batch_size=3)
        == different[0]
    )


@pytest.mark.parametrize(
    ("options", "world_size", "texts"),
    [
        ({"crop": 17}, 1, ["data.crop=17", "data.context=16"]),
        ({"eval_context": 15}, 1, ["data.eval_context=15", "16 tokens"]),
        ({"crop": 8, "eval_context": 7}, 1, ["data.eval_context=7", "8 tokens"]),
        ({"crop": 21, "context": 30}, 1, ["data.crop=21", "20"]),
        ({"vocabulary": 3}, 1, ["data.vocabulary=3", "4"]),
        ({"mask_share": 0.0}, 1, ["data.mask_share=0.0"]),
        ({"mask_share": 1.0}, 1, ["data.mask_share=1.0"]),
        ({"crop": 0}, 1, ["data.crop=0"]),
        ({"context": 0}, 1, ["data.context=0"]),
        ({"subset": 141}, 1, ["data.subset=141", "140"]),
        ({"eval_subset": 33}, 1, ["data.eval_subset=33", "val"]),
        ({"batch_size": 141}, 1, ["data.batch_size=141", "140"]),
        ({"batch_size": 5}, 2, ["data.batch_size=5", "multiple of 2"]),
    ],
)
def test_refuses_what_does_not_fit_the_documents(options, world_size, texts):
    sentence = refusal(document_cfg(**options), world_size=world_size)
    assert all(text in sentence for text in texts)
