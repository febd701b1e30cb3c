"""What a TextData promises: vocabulary, windows, and the loss of a model that knows frequencies
alone."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import text_cfg

from normlab.data.text import TextData
from normlab.data.text_sources import RawText
from normlab.errors import NormLabError

RAW = RawText(
    "words",
    "the quick brown fox jumps over the lazy dog. " * 20,
    "a lazy dog sleeps. " * 5,
    "the fox! " * 6,
)


def decode(data: TextData, tokens: torch.Tensor) -> str:
    return "".join(
        (data.vocabulary + "\N{REPLACEMENT CHARACTER}")[token] for token in tokens.flatten()
    )


def test_shapes_and_types():
    data = TextData(text_cfg(), RAW, seed=0)
    assert (data.modality, data.input_shape, data.num_train) == ("text", (16,), 900)
    assert data.steps_per_epoch == 900 // (4 * 16)
    x, y = data.batch(3)
    assert x.dtype == y.dtype == torch.int64 and x.shape == y.shape == (4, 16)
    assert x.is_contiguous() and y.is_contiguous()
    assert TextData(text_cfg(batch_size=100), RAW, seed=0).steps_per_epoch == 1


def test_training_windows_are_pieces_of_the_training_text_and_their_continuation():
    data = TextData(text_cfg(), RAW, seed=0)
    for step in range(40):
        for x, y in zip(*data.batch(step), strict=True):
            assert decode(data, x) + decode(data, y)[-1] in RAW.train
            assert torch.equal(x[1:], y[:-1])


def test_every_window_of_the_training_text_can_be_drawn():
    raw = RawText("letters", "abcdefgh", "abc", "abc")
    data = TextData(text_cfg(context=2, batch_size=4), raw, seed=0)
    first = {int(x[0]) for step in range(60) for x in data.batch(step)[0]}
    assert first == set(range(6))  # from ab|c to fg|h


def test_batches_depend_on_seed_and_step_alone():
    forward, backward = TextData(text_cfg(), RAW, seed=1), TextData(text_cfg(), RAW, seed=1)
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
    assert not torch.equal(first[0][0], TextData(text_cfg(), RAW, seed=2).batch(0)[0])
    assert not torch.equal(first[0][0], first[14][0])  # the second epoch's first batch


def test_ranks_parts_make_the_global_batch():
    whole = TextData(text_cfg(), RAW, seed=0)
    ranks = [TextData(text_cfg(), RAW, seed=0, rank=rank, world_size=2) for rank in (0, 1)]
    for step in (0, 17):
        parts = [rank.batch(step) for rank in ranks]
        for value, halves in zip(whole.batch(step), zip(*parts, strict=True), strict=True):
            assert torch.equal(value, torch.cat(halves))


@given(length=st.integers(18, 90), context=st.integers(1, 17), eval_batch_size=st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_evaluation_predicts_each_character_once_up_to_the_last_whole_window(
    length, context, eval_batch_size
):
    raw = RawText("words", RAW.train, RAW.train[:length], RAW.test)
    data = TextData(
        text_cfg(context=context, eval_batch_size=eval_batch_size, batch_size=1), raw, seed=0
    )
    x, y = (torch.cat(values) for values in zip(*data.eval_batches("val"), strict=True))
    predicted = (length - 1) // context * context
    assert x.shape == y.shape == (predicted // context, context)
    assert decode(data, x) == raw.val[:predicted] and decode(data, y) == raw.val[1 : predicted + 1]


def test_unknown_characters_share_one_token_that_is_there_only_if_needed():
    assert TextData(text_cfg(context=2), RawText("t", "abab cab", "abc", "cab"), 0).num_outputs == 4
    data = TextData(text_cfg(context=2), RawText("t", "abab cab", "aéb", "cüb"), 0)
    assert data.num_outputs == 5 and data.vocabulary == " abc"
    x, _ = next(data.eval_batches("val"))
    assert x.tolist() == [[1, 4]]


def test_at_most_255_characters_are_kept_and_they_are_the_frequent_ones():
    rare = "".join(chr(0x4E00 + i) for i in range(300))
    data = TextData(text_cfg(), RawText("t", "abc " * 50 + rare, "abc " * 10, "abc " * 10), 0)
    assert (
        data.num_outputs == 256
        and set("abc ") < set(data.vocabulary)
        and len(data.vocabulary) == 255
    )
    x = torch.cat([x for x, _ in data.eval_batches("train")])
    assert x.max() == 255


def test_trivial_loss_against_a_hand_computation():
    data = TextData(text_cfg(context=2, batch_size=1), RawText("t", "aaab", "abb", "aab"), 0)
    # a: (3 + 1) / 6, b: (1 + 1) / 6
    assert data.trivial_loss == pytest.approx(-(math.log(4 / 6) + 2 * math.log(2 / 6)) / 3)


def test_fingerprint_changes_with_content_and_options_only():
    def fingerprint(raw: RawText = RAW, seed: int = 0, **options) -> str:
        return TextData(text_cfg(**options), raw, seed).fingerprint

    other = RawText("words", RAW.train.replace("q", "Q", 1), RAW.val, RAW.test)
    moved = RawText("words", RAW.train + RAW.val[:1], RAW.val[1:], RAW.test)
    different = [
        fingerprint(),
        fingerprint(other),
        fingerprint(moved),
        fingerprint(context=8),
        fingerprint(subset=800),
        fingerprint(eval_subset=30),
    ]
    assert len(set(different)) == len(different)
    assert (
        fingerprint(seed=1)
        == fingerprint(batch_size=2)
        == fingerprint(eval_batch_size=3)
        == different[0]
    )


def test_a_subset_is_the_beginning_and_keeps_the_vocabulary():
    whole, part = (
        TextData(text_cfg(), RAW, 0),
        TextData(text_cfg(subset=40, eval_subset=20), RAW, 0),
    )
    assert (
        part.num_train == 40
        and part.vocabulary == whole.vocabulary
        and part.num_outputs == whole.num_outputs
    )
    (x, _), (y, _) = next(part.eval_batches("val")), next(whole.eval_batches("val"))
    assert x.shape == (1, 16) and torch.equal(x, y[:1])


@pytest.mark.parametrize(
    ("options", "world_size", "words"),
    [
        ({"context": 54}, 1, ["data.context=54", "test split", "54 characters"]),
        ({"context": 16, "eval_subset": 16}, 1, ["data.context=16", "val split", "16 characters"]),
        ({"subset": 901}, 1, ["data.subset=901", "900"]),
        ({"eval_subset": 96}, 1, ["data.eval_subset=96", "95"]),
        ({"batch_size": 885}, 1, ["data.batch_size=885", "884"]),
        ({"batch_size": 5}, 2, ["data.batch_size=5", "multiple of 2"]),
    ],
)
def test_refuses_what_does_not_fit_the_text(options, world_size, words):
    with pytest.raises(NormLabError) as refused:
        TextData(text_cfg(**options), RAW, seed=0, world_size=world_size)
    assert all(word in str(refused.value) for word in words) and "\n" not in str(refused.value)
