"""Styles: the same number is the same style, nothing is lost in one, and images take turns."""

import numpy as np
import torch
from samples import image_cfg, numbered

from normlab.data.images import ImageData
from normlab.data.styles import restyle, tables

RAW = numbered()


def test_a_number_is_one_style_and_keeps_the_order_of_values():
    one, two = tables([3], 3), tables([7, 3], 3)
    assert one.shape == (1, 3, 256) and (one[0] == two[1]).all() and (two[0] != two[1]).any()
    for curve in tables(range(20), 3).reshape(-1, 256).astype(int):
        assert (np.diff(curve) >= 0).all() and curve[-1] - curve[0] >= 0.29 * 255
    assert tables([0], 3)[0, :, [0, 255]].T.tolist() == [
        [22, 226],
        [46, 230],
        [36, 209],
    ]  # for ever


def test_images_take_turns_and_each_channel_has_its_own_curve():
    images = RAW.train.images[:5]
    styled, curves = restyle(images, [4, 9]), tables([4, 9], 3)
    for i, image in enumerate(images):
        for c in range(3):
            assert (styled[i, :, :, c] == curves[i % 2, c][image[:, :, c]]).all()


def test_styles_change_the_images_and_neither_labels_nor_normalisation():
    plain, styled = (ImageData(image_cfg(styles=s), RAW, seed=0) for s in (None, [4, 9]))
    same = ImageData(image_cfg(styles=[]), RAW, seed=0)
    assert same.fingerprint == plain.fingerprint != styled.fingerprint
    mean, scale = plain._mean, plain._scale
    assert torch.equal(mean, styled._mean) and torch.equal(scale, styled._scale)
    for split in ("train", "val", "test"):
        x, y = (torch.cat(v) for v in zip(*styled.eval_batches(split), strict=True))
        assert torch.equal(y, torch.cat([y for _, y in plain.eval_batches(split)]))
        shown = restyle(RAW.train.images[y.numpy()], [4, 9])
        torch.testing.assert_close(
            x, (torch.from_numpy(shown).permute(0, 3, 1, 2).float() - mean) * scale
        )
