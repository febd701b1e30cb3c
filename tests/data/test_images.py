"""What an ImageData promises: which images, in which order, with which numbers in them."""

import math

import numpy as np
import pytest
import torch
from samples import image_cfg, numbered

from normlab.data.image_sources import Pool, RawImages
from normlab.data.images import ImageData
from normlab.data.splits import split_indices
from normlab.errors import NormLabError

RAW = numbered()  # 60 images: 42 train, 9 validate, 9 test


def labels_of_epoch(data: ImageData, epoch: int = 0) -> torch.Tensor:
    first = epoch * data.steps_per_epoch
    return torch.cat([data.batch(step)[1] for step in range(first, first + data.steps_per_epoch)])


def same(a: tuple[torch.Tensor, torch.Tensor], b: tuple[torch.Tensor, torch.Tensor]) -> bool:
    return torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("augment", [False, True])
def test_shapes_and_types(augment, channels_last):
    data = ImageData(
        image_cfg(augment=augment, eval_batch_size=8), RAW, seed=0, channels_last=channels_last
    )
    assert (data.modality, data.input_shape, data.num_outputs, data.num_train) == (
        "image",
        (3, 6, 6),
        60,
        42,
    )
    assert data.steps_per_epoch == 5 and data.trivial_loss == pytest.approx(math.log(60))
    for x, y in (data.batch(7), next(data.eval_batches("val"))):
        assert x.dtype == torch.float32 and y.dtype == torch.int64
        assert x.shape == (8, 3, 6, 6) and y.shape == (8,)
        assert x.is_contiguous(
            memory_format=torch.channels_last if channels_last else torch.contiguous_format
        )


def test_memory_format_changes_no_number():
    cfg = image_cfg(augment=True)
    a, b = (ImageData(cfg, RAW, seed=3, channels_last=last) for last in (False, True))
    assert a.fingerprint == b.fingerprint
    assert all(same(a.batch(step), b.batch(step)) for step in (0, 4, 11))
    for split in ("train", "val", "test"):
        assert all(
            same(p, q) for p, q in zip(a.eval_batches(split), b.eval_batches(split), strict=True)
        )


def test_batches_depend_on_seed_and_step_alone():
    cfg = image_cfg(augment=True)
    forward, backward = ImageData(cfg, RAW, seed=1), ImageData(cfg, RAW, seed=1)
    steps = range(12)
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = [forward.batch(step) for step in steps]
    assert (
        torch.equal(torch.get_rng_state(), before[0])
        and (np.random.get_state()[1] == before[1]).all()
    )
    torch.manual_seed(99)
    again = [backward.batch(step) for step in reversed(steps)][::-1]
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    assert not same(first[0], ImageData(cfg, RAW, seed=2).batch(0))
    assert not same(first[0], first[5]) and not same(
        first[5], first[10]
    )  # the first batches of three epochs


@pytest.mark.parametrize("batch_size", [1, 2, 5, 7, 42])
def test_an_epoch_shows_each_image_once_in_an_order_of_its_own(batch_size):
    data = ImageData(image_cfg(batch_size=batch_size, augment=True), RAW, seed=0)
    training_labels = split_indices(60, None)["train"]
    orders = [labels_of_epoch(data, number) for number in range(3)]
    assert len(orders[0]) == 42 // batch_size * batch_size
    for order in orders:
        assert order.unique().numel() == len(order) and set(order.tolist()) <= set(
            training_labels.tolist()
        )
    assert not torch.equal(orders[0], orders[1]) and not torch.equal(orders[1], orders[2])


def test_many_small_batches_are_the_large_one_in_parts():
    small, large = (
        ImageData(image_cfg(batch_size=size, augment=True), RAW, seed=0) for size in (2, 14)
    )
    for step in range(3):
        parts = [small.batch(7 * step + i) for i in range(7)]
        assert same(
            large.batch(step), tuple(torch.cat(values) for values in zip(*parts, strict=True))
        )


def test_blocks_of_batches_end_with_the_epoch(monkeypatch):
    cfg = image_cfg(batch_size=4, augment=True)
    in_blocks = ImageData(cfg, RAW, seed=0)
    monkeypatch.setattr("normlab.data.images._BLOCK_BYTES", 3 * 4 * 6 * 6 * 3)
    by_three = ImageData(cfg, RAW, seed=0)
    monkeypatch.setattr("normlab.data.images._BLOCK_BYTES", 0)
    one_by_one = ImageData(cfg, RAW, seed=0)
    for step in (*range(25), 3, 14):
        expected = one_by_one.batch(step)
        assert same(in_blocks.batch(step), expected) and same(by_three.batch(step), expected)


@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_parts_make_the_global_batch(world_size):
    cfg = image_cfg(augment=True)
    whole = ImageData(cfg, RAW, seed=0)
    ranks = [
        ImageData(cfg, RAW, seed=0, rank=rank, world_size=world_size) for rank in range(world_size)
    ]
    assert {rank.steps_per_epoch for rank in ranks} == {whole.steps_per_epoch}
    for step in (0, 6):
        parts = [rank.batch(step) for rank in ranks]
        assert all(len(y) == 8 // world_size for _, y in parts)
        assert same(
            whole.batch(step), tuple(torch.cat(values) for values in zip(*parts, strict=True))
        )


def test_normalisation_is_that_of_the_training_split_whatever_the_subset():
    raw = numbered(200)
    training = raw.train.images[split_indices(200, None)["train"]].astype(np.float64)
    mean, std = training.mean((0, 1, 2)), training.std((0, 1, 2))
    for subset in (None, 20):
        data = ImageData(image_cfg(subset=subset), raw, seed=0)
        x, y = next(data.eval_batches("test"))
        expected = (raw.train.images[y] - mean) / std
        torch.testing.assert_close(x, torch.from_numpy(expected).float().permute(0, 3, 1, 2))
    x = torch.cat([x for x, _ in ImageData(image_cfg(), raw, seed=0).eval_batches("train")])
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std((0, 2, 3), correction=0), torch.ones(3))


def test_padding_is_black_before_normalisation():
    raw = RawImages("white", 2, Pool(np.full((20, 4, 4, 1), 255, np.uint8), np.arange(20) % 2))
    raw.train.images[:, 0] = 55
    data = ImageData(image_cfg(augment=True, crop_padding=3, batch_size=14), raw, seed=0)
    values = torch.cat([data.batch(step)[0] for step in range(20)]).unique()
    pixels = np.array([0, 55, 255])
    mean, std = 205.0, math.sqrt((3 * 50**2 + 150**2) / 4)
    np.testing.assert_allclose(values.numpy(), (pixels - mean) / std, rtol=1e-5)


def test_splits_are_disjoint_complete_and_the_same_for_every_seed():
    seen = []
    for seed in (0, 1):
        data = ImageData(image_cfg(eval_batch_size=4), RAW, seed=seed)
        splits = {
            split: torch.cat([y for _, y in data.eval_batches(split)]).tolist()
            for split in ("train", "val", "test")
        }
        assert sorted(splits["train"] + splits["val"] + splits["test"]) == list(range(60))
        assert {split: len(y) for split, y in splits.items()} == {"train": 42, "val": 9, "test": 9}
        seen.append(splits)
    assert seen[0] == seen[1]


def test_a_published_test_set_stays_apart():
    data = ImageData(image_cfg(), numbered(60, num_test=20), seed=0)
    splits = {
        split: torch.cat([y for _, y in data.eval_batches(split)]).tolist()
        for split in ("train", "val", "test")
    }
    assert sorted(splits["train"] + splits["val"]) == list(range(60)) and len(splits["val"]) == 6
    assert sorted(splits["test"]) == list(range(20))


def test_the_split_is_pinned():
    """A change here changes every recorded result."""
    indices = split_indices(1797, None)
    assert {split: len(index) for split, index in indices.items()} == {
        "train": 1257,
        "val": 270,
        "test": 270,
    }
    assert indices["train"][:3].tolist() == [1633, 965, 1755]
    assert [len(index) for index in split_indices(50_000, 10_000).values()] == [
        45_000,
        5_000,
        10_000,
    ]


def test_subsets_are_the_first_of_the_split():
    whole, part = (
        ImageData(image_cfg(), RAW, 0),
        ImageData(image_cfg(subset=16, eval_subset=5), RAW, 0),
    )
    assert part.num_train == 16 and part.steps_per_epoch == 2
    for split, size in (("train", 16), ("val", 5), ("test", 5)):
        a, b = (torch.cat([y for _, y in data.eval_batches(split)]) for data in (whole, part))
        assert torch.equal(a[:size], b)


def test_resizing_averages_and_keeps_flat_areas():
    pixels = (
        np.repeat(np.arange(20, dtype=np.uint8)[:, None, None, None] * 10, 8, 1)
        .repeat(8, 2)
        .repeat(3, 3)
    )
    raw = RawImages("flat", 20, Pool(pixels, np.arange(20)))
    for size in (1, 4, 16):
        data = ImageData(image_cfg(image_size=size), raw, seed=0)
        assert data.input_shape == (3, size, size)
        x, y = next(data.eval_batches("train"))
        assert (x == x[:, :, :1, :1]).all()
        assert torch.equal(x[:, 0, 0, 0].argsort(), y.argsort())


def test_fingerprint_changes_with_content_and_options_only():
    def fingerprint(raw: RawImages = RAW, seed: int = 0, **options) -> str:
        return ImageData(image_cfg(**options), raw, seed).fingerprint

    one_pixel = RAW.train.images.copy()
    one_pixel[5, 0, 0, 0] ^= 1
    one_label = RAW.train.labels.copy()
    one_label[5] += 1
    different = [
        fingerprint(),
        fingerprint(RawImages("numbered", 60, Pool(one_pixel, RAW.train.labels))),
        fingerprint(RawImages("numbered", 60, Pool(RAW.train.images, one_label))),
        fingerprint(subset=16),
        fingerprint(eval_subset=5),
        fingerprint(image_size=4),
        fingerprint(augment=True),
        fingerprint(augment=True, flip=False),
        fingerprint(augment=True, crop_padding=2),
    ]
    assert len(set(different)) == len(different)
    for unchanged in (
        {"seed": 1},
        {"batch_size": 2},
        {"eval_batch_size": 3},
        {"flip": False},
        {"crop_padding": 2},
    ):
        assert fingerprint(**unchanged) == different[0]


@pytest.mark.parametrize(
    ("options", "world_size", "words"),
    [
        ({"subset": 43}, 1, ["data.subset=43", "42"]),
        ({"eval_subset": 10}, 1, ["data.eval_subset=10", "9"]),
        ({"batch_size": 43}, 1, ["data.batch_size=43", "42"]),
        ({"batch_size": 20, "subset": 10}, 1, ["data.batch_size=20", "10"]),
        ({"augment": True, "crop_padding": 6}, 1, ["data.crop_padding=6", "at most 5"]),
        ({"batch_size": 9}, 2, ["data.batch_size=9", "2"]),
    ],
)
def test_refuses_what_does_not_fit_the_images(options, world_size, words):
    with pytest.raises(NormLabError) as refused:
        ImageData(image_cfg(**options), RAW, seed=0, world_size=world_size)
    assert all(word in str(refused.value) for word in words) and "\n" not in str(refused.value)
