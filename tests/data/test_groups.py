"""Groups of few classes: what shares statistics is skewed, and nothing else is."""

import numpy as np
import pytest
import torch
from samples import image_cfg

from normlab.data.image_sources import Pool, RawImages
from normlab.data.images import ImageData
from normlab.errors import NormLabError

DRAW = np.random.default_rng(0)
LABELS = DRAW.integers(0, 4, 2000)
PIXELS = DRAW.integers(0, 256, (2000, 2, 2, 1), dtype=np.uint8)
RAW = RawImages("four", 4, Pool(PIXELS, LABELS), Pool(PIXELS[:8], LABELS[:8]))


def load(**options):
    return ImageData(image_cfg(batch_size=32, **options), RAW, seed=0)


@pytest.mark.parametrize("size,classes", [(8, 1), (8, 2), (16, 4), (32, 2)])
def test_each_group_has_its_classes_and_equally_many_of_each(size, classes):
    data = load(group_size=size, group_classes=classes)
    for step in range(2 * data.steps_per_epoch):
        for group in data.batch(step)[1].split(size):
            counts = group.bincount(minlength=4)
            assert (counts > 0).sum() == classes and counts.max() == size // classes


def test_batches_have_all_classes_alike_and_groups_meet_at_random():
    data = load(group_size=8, group_classes=1)
    epoch = [data.batch(step)[1] for step in range(data.steps_per_epoch)]
    assert torch.stack([y.bincount(minlength=4) for y in epoch]).float().mean(0).tolist() == [
        8,
        8,
        8,
        8,
    ]
    orders = {tuple(y[::8].tolist()) for y in epoch}
    assert len(orders) > 10  # of 24
    pairs = load(group_size=8, group_classes=2)
    seen = {
        tuple(sorted(set(g.tolist())))
        for s in range(pairs.steps_per_epoch)
        for g in pairs.batch(s)[1].split(8)
    }
    assert len(seen) == 6  # every pair of four classes


def test_no_image_comes_twice_in_an_epoch_and_all_come_in_time():
    raw = RawImages(
        "numbered",
        4,
        Pool(np.arange(2000 * 4).reshape(2000, 2, 2, 1).astype(np.uint8), LABELS),
        None,
    )
    data = ImageData(image_cfg(batch_size=32, group_size=8, group_classes=2), raw, seed=0)
    order = data._order(torch.Generator().manual_seed(0))
    assert len(order.unique()) == len(order) >= data.steps_per_epoch * 32
    smallest = data._labels["train"].bincount().min()
    assert len(order) == 4 * (smallest // 4 * 4)  # the smallest class ends the epoch
    epochs = torch.cat([data._order(torch.Generator().manual_seed(seed)) for seed in range(20)])
    assert len(epochs.unique()) == data.num_train


def test_without_groups_nothing_changes():
    """The order that every trial before groups existed was run with."""
    data = load()
    generator = torch.Generator().manual_seed(
        int(np.random.SeedSequence((0, 0)).generate_state(1, np.uint64)[0])
    )
    order = torch.randperm(data.num_train, generator=generator)
    assert torch.equal(data._order(torch.Generator().manual_seed(generator.initial_seed())), order)
    assert torch.equal(data.batch(0)[1], data._labels["train"][order[:32]])
    assert data.steps_per_epoch == data.num_train // 32


def test_ranks_get_whole_groups():
    cfg = image_cfg(batch_size=32, group_size=8, group_classes=1)
    whole = ImageData(cfg, RAW, seed=0)
    parts = [ImageData(cfg, RAW, seed=0, rank=rank, world_size=4) for rank in range(4)]
    assert all(len(part.batch(3)[1].unique()) == 1 for part in parts)
    assert torch.equal(torch.cat([part.batch(3)[1] for part in parts]), whole.batch(3)[1])


@pytest.mark.parametrize(
    "options,said",
    [
        ({"group_size": 8}, "pass both"),
        ({"group_classes": 1}, "pass both"),
        ({"group_size": 5, "group_classes": 1}, "divides the batch of 32"),
        ({"group_size": 8, "group_classes": 3}, "divides the size and 4"),
        ({"group_size": 32, "group_classes": 1, "subset": 40}, "smallest class"),
    ],
)
def test_what_does_not_fit_is_refused(options, said):
    with pytest.raises(NormLabError, match=said):
        load(**options)
