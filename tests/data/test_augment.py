"""Crops and flips against torchvision's, pixel by pixel."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import normlab.models.torchvision_operators  # noqa: F401  (before torchvision)
from normlab.data.augment import Crops


def gathered(
    crops: Crops, offsets: Tensor, shape: tuple[int, int, int], channels_last: bool
) -> Tensor:
    """What `gather` returns, as (n, C, H, W) whatever the layout."""
    c, h, w = shape
    pixels = crops.gather(offsets)
    return pixels.view(-1, h, w, c).permute(0, 3, 1, 2) if channels_last else pixels


@given(
    n=st.integers(1, 4),
    height=st.integers(1, 7),
    width=st.integers(1, 7),
    channels=st.sampled_from([1, 3, 4]),
    padding=st.integers(0, 3),
    flip=st.booleans(),
    channels_last=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=80, deadline=None)
def test_every_crop_is_the_window_of_the_padded_image(
    n, height, width, channels, padding, flip, channels_last, seed
):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(
        0, 256, (n, height, width, channels), generator=generator, dtype=torch.uint8
    )
    crops = Crops(images, padding, flip, channels_last, "cpu")
    sides = 2 * padding + 1
    index, top, left = torch.cartesian_prod(
        torch.arange(n), torch.arange(sides), torch.arange(sides)
    ).T
    mirrored = torch.randint(2, (len(index),), generator=generator).bool() & flip

    ours = gathered(
        crops, crops.offsets(index, top, left, mirrored), (channels, height, width), channels_last
    )

    padded = F.pad(images.permute(0, 3, 1, 2), (padding,) * 4)
    for crop, i, y, x, m in zip(ours, index, top, left, mirrored, strict=True):
        expected = padded[i, :, y : y + height, x : x + width]
        assert torch.equal(crop, expected.flip(-1) if m else expected)


def test_equals_torchvision_for_the_same_offsets(monkeypatch):
    from torchvision.transforms import RandomCrop
    from torchvision.transforms.functional import hflip

    images = torch.randint(
        0, 256, (50, 32, 32, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    crops = Crops(images, 4, True, False, "cpu")
    draw = torch.Generator().manual_seed(1)
    top, left = torch.randint(9, (2, 50), generator=draw)
    mirrored = torch.randint(2, (50,), generator=draw).bool()
    ours = crops.gather(crops.offsets(torch.arange(50), top, left, mirrored))
    for image, crop, y, x, m in zip(
        images.permute(0, 3, 1, 2), ours, top, left, mirrored, strict=True
    ):
        monkeypatch.setattr(RandomCrop, "get_params", lambda *_, y=y, x=x: (int(y), int(x), 32, 32))
        theirs = RandomCrop(32, padding=4)(image)
        assert torch.equal(crop, hflip(theirs) if m else theirs)


def test_draws_every_offset_and_both_directions_about_equally_often():
    images = torch.arange(7 * 5, dtype=torch.uint8).view(1, 7, 5, 1)
    crops = Crops(images, 1, True, False, "cpu")
    offsets = crops.draw(torch.zeros(18_000, dtype=torch.long), torch.Generator().manual_seed(0))
    _, counts = offsets.unique(return_counts=True)
    assert len(counts) == 18  # 3 x 3 corners, mirrored or not
    assert counts.min() > 850 and counts.max() < 1150  # 1000 ± 5 standard deviations


def test_without_flip_nothing_is_mirrored_and_nothing_is_stored_twice():
    images = torch.randint(0, 256, (3, 4, 4, 3), dtype=torch.uint8)
    plain, mirrored = (Crops(images, 0, flip, False, "cpu") for flip in (False, True))
    index = torch.arange(3).repeat(20)
    drawn = plain.gather(plain.draw(index, torch.Generator().manual_seed(0)))
    assert torch.equal(drawn, images.permute(0, 3, 1, 2)[index])
    assert (
        mirrored._windows.untyped_storage().nbytes()
        == 2 * plain._windows.untyped_storage().nbytes()
    )
