"""Every mode of PIL, read right or refused; hidden files and links; splits by class."""

import numpy as np
import pytest
import torch
from PIL import Image
from samples import image_cfg, numbered

from normlab.data import load_data
from normlab.data.image_modes import _converted, read_pixels, to_bytes
from normlab.data.image_sources import read_images
from normlab.data.image_splits import check_classes
from normlab.data.splits import stratified_indices
from normlab.errors import NormLabError

GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)
COLOURS = np.stack([GREY, GREY.T, 255 - GREY], axis=2)


def read(image, tmp_path, form="png", **how):
    path = tmp_path / f"image.{form}"
    image.save(path, **how)
    return to_bytes([read_pixels(path, "it")])[0]


def grey(values):
    return np.repeat(values[..., None], 3, axis=2)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV"])
def test_eight_bits_are_what_pil_makes_of_them(mode, tmp_path):
    image = Image.fromarray(COLOURS).convert(mode)
    form = "tiff" if mode in ("CMYK", "YCbCr") else "png"
    if mode == "HSV":  # which no file holds
        image = image.convert("RGB")
    pixels = read(image, tmp_path, form)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("form", ["png", "tiff", "pgm"])
def test_sixteen_bits_are_scaled_and_not_cut_off(form, tmp_path):
    values = (np.arange(65536, dtype=np.uint16)).reshape(256, 256)
    pixels = read(Image.fromarray(values), tmp_path, form)
    np.testing.assert_array_equal(pixels, grey(np.rint(values / 257).astype(np.uint8)))
    assert len(np.unique(pixels)) == 256 and abs(pixels.mean() - 127.5) < 0.1


def test_sixteen_bits_of_big_endian_tiff(tmp_path):
    values = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    image = Image.frombytes("I;16B", (16, 16), values.byteswap().tobytes())
    np.testing.assert_array_equal(
        read(image, tmp_path, "tiff"), grey(np.rint(values * (255 / 65535)).astype(np.uint8))
    )


def test_images_of_more_bits_share_a_scale(tmp_path):
    """12-bit images keep their grey values, and a dark one stays dark."""
    bright = np.linspace(0, 4095, 256).astype(np.uint16).reshape(16, 16)
    images = []
    for number, values in enumerate((bright, bright // 2)):
        path = tmp_path / f"{number}.png"
        Image.fromarray(values).save(path)
        images.append(read_pixels(path, "it"))
    first, second = to_bytes([*images, COLOURS])[:2]
    assert len(np.unique(first)) == 256
    assert abs(first.mean() / second.mean() - 2) < 0.02


def test_thirty_two_bits(tmp_path):
    whole = np.linspace(0, 65535, 256).astype(np.int32).reshape(16, 16)
    pixels = read(Image.fromarray(whole), tmp_path, "tiff")
    np.testing.assert_array_equal(pixels, grey(np.rint(whole * (255 / 65535)).astype(np.uint8)))
    shares = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    assert (read(Image.fromarray(shares), tmp_path, "tiff") == grey(GREY)).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full((4, 4), 70000, np.int32), "from 70000 to 70000.*from 0 to 65535"),
        (np.full((4, 4), -1, np.int32), "from -1 to -1"),
        (np.full((4, 4), 255, np.float32), "from 255 to 255.*from 0 to 1"),
        (np.full((4, 4), np.nan, np.float32), "nan"),
    ],
)
def test_values_that_no_range_explains_are_refused(values, words, tmp_path):
    with pytest.raises(NormLabError, match=words):
        read(Image.fromarray(values), tmp_path, "tiff")


def test_a_mode_that_pil_cannot_convert_is_refused():
    with pytest.raises(NormLabError, match=r"it is of mode La, .* store it as RGB"):
        _converted(Image.new("La", (4, 4)), "it")


def test_what_is_transparent_is_white_as_on_a_page(tmp_path):
    """A black drawing on a transparent ground, whose hidden colour is black as well."""
    alpha = np.zeros((16, 16), np.uint8)
    alpha[4:8] = 255
    drawing = np.dstack([np.zeros((16, 16, 3), np.uint8), alpha])
    expected = grey(255 - alpha)
    rgba = Image.fromarray(drawing)
    assert (read(rgba, tmp_path) == expected).all()
    assert (read(rgba.convert("LA"), tmp_path) == expected).all()
    palette = Image.fromarray((alpha == 0).astype(np.uint8), "P")
    palette.putpalette([0, 0, 0, 0, 0, 0])
    assert (read(palette, tmp_path, transparency=1) == expected).all()
    plain = Image.fromarray(np.where(alpha == 0, np.uint8(7), np.uint8(0)))
    assert (read(plain, tmp_path, transparency=7) == expected).all()


def test_a_photograph_is_turned_upright(tmp_path):
    image = Image.fromarray(COLOURS[:8])
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    np.testing.assert_array_equal(
        read(image, tmp_path, exif=exif), np.rot90(COLOURS[:8], -1).copy()
    )


def test_a_folder_of_sixteen_bits_is_resized_and_keeps_its_contrast(write_folder):
    folder = write_folder(size=(8, 8))
    for file in folder.rglob("*.png"):
        values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
        Image.fromarray(values).save(file)
    for size in (None, 4):
        raw = read_images(image_cfg("imagefolder", path=str(folder), image_size=size))
        assert raw.train.images.shape[1:] == (size or 8, size or 8, 3)
        assert abs(raw.train.images.mean() - 127.5) < 1.5 and raw.train.images.std() > 60


# ---- files that are no images


def test_hidden_files_are_passed_over(write_folder):
    folder = write_folder()
    before = load_data(image_cfg("imagefolder", path=str(folder)), seed=0).fingerprint
    (folder / "a" / "._00.png").write_bytes(b"what macOS leaves behind")
    (folder / "a" / ".ipynb_checkpoints").mkdir()
    (folder / "a" / ".ipynb_checkpoints" / "00.png").write_bytes(b"")
    (folder / "b" / "a_folder.png").mkdir()
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "._00.png").write_bytes(b"")
    assert load_data(image_cfg("imagefolder", path=str(folder)), seed=0).fingerprint == before


@pytest.mark.parametrize("link", ["a/broken.png", "c"])
def test_a_link_to_nothing_is_named(link, write_folder):
    folder = write_folder()
    (folder / link).symlink_to(folder / "nowhere")
    with pytest.raises(NormLabError, match=f"{folder / link} is a link to nothing"):
        load_data(image_cfg("imagefolder", path=str(folder)), seed=0)


# ---- splits


@pytest.mark.parametrize("counts", [(990, 10), (3, 3), (40, 1, 2, 4), (7, 7, 7)])
def test_splits_hold_every_class_in_its_share(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    indices = stratified_indices(labels)
    whole = np.concatenate(list(indices.values()))
    assert sorted(whole) == list(range(len(labels)))
    for split in ("val", "test"):
        found = np.bincount(labels[indices[split]], minlength=len(counts))
        for count, held_out in zip(counts, found, strict=True):
            assert abs(held_out - 0.15 * count) <= 1 and bool(held_out) == (count > 2)
        assert abs(len(indices[split]) - 0.15 * len(labels)) <= len(counts)
    train = labels[indices["train"]]
    assert set(train) == set(range(len(counts)))
    # Half of a split is as mixed as the whole.
    half = np.bincount(train[: len(train) // 2], minlength=len(counts))
    assert abs(half - np.bincount(train) / 2).max() <= 1


def test_a_rare_class_is_trained_on_and_a_subset_without_it_is_refused(write_folder):
    folder = write_folder(per_class=60)
    for file in sorted((folder / "b").iterdir())[3:]:
        file.unlink()
    cfg = image_cfg("imagefolder", path=str(folder), batch_size=4)
    for split in ("train", "val", "test"):
        labels = torch.cat([y for _, y in load_data(cfg, seed=0).eval_batches(split)])
        assert labels.bincount().tolist()[1] == 1
    cfg.subset = 10
    with pytest.raises(
        NormLabError, match=r"data\.subset=10 leaves no training image of class 'b'"
    ):
        load_data(cfg, seed=0)
    with pytest.raises(NormLabError, match=r"=8 leaves no training image of class \d+ and 51 more"):
        check_classes(image_cfg(subset=8), numbered(60))
