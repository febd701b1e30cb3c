"""The cache of decoded images saves time and never costs a run."""

import os
from pathlib import Path

import numpy as np
import pytest
from samples import image_cfg

from normlab.data import cache, image_sources, load_data


@pytest.fixture
def decoded_images(monkeypatch) -> list[str]:
    """The names of the images decoded so far."""
    names: list[str] = []
    decode = image_sources.read_pixels

    def counting(source, where, size=None):
        names.append(where)
        return decode(source, where, size)

    monkeypatch.setattr(image_sources, "read_pixels", counting)
    return names


def entries(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").iterdir())


def test_decodes_once(write_cifar, decoded_images, tmp_path):
    write_cifar()
    first = load_data(image_cfg("cifar10"), seed=0)
    assert len(decoded_images) == 50
    second = load_data(image_cfg("cifar10"), seed=0)
    assert len(decoded_images) == 50 and second.fingerprint == first.fingerprint
    assert len(entries(tmp_path)) == 1  # and no scratch folder left behind


def test_decodes_again_when_a_source_file_changes(write_folder, decoded_images, tmp_path):
    folder = write_folder()
    cfg = image_cfg("imagefolder", path=str(folder))
    before = load_data(cfg, seed=0).fingerprint
    file = folder / "a" / "03.png"
    file.write_bytes((folder / "b" / "04.png").read_bytes())
    os.utime(file, ns=(1, 1))
    assert load_data(cfg, seed=0).fingerprint != before and len(decoded_images) == 40
    load_data(image_cfg("imagefolder", path=str(folder), image_size=4), seed=0)
    assert len(decoded_images) == 60 and len(entries(tmp_path)) == 3


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"garbage" * 99, "cut", "missing"])
@pytest.mark.parametrize("array", ["train_images", "test_labels", "jpeg"])
def test_a_damaged_entry_is_decoded_again_and_replaced(
    array, damage, write_cifar, decoded_images, tmp_path
):
    write_cifar()
    expected = load_data(image_cfg("cifar10"), seed=0).fingerprint
    (entry,) = entries(tmp_path)
    file = entry / f"{array}.npy"
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1] if damage == "cut" else damage)
    assert (
        load_data(image_cfg("cifar10"), seed=0).fingerprint == expected
        and len(decoded_images) == 100
    )
    assert (
        load_data(image_cfg("cifar10"), seed=0).fingerprint == expected
        and len(decoded_images) == 100
    )


def test_a_folder_that_cannot_be_written_is_no_error(
    write_cifar, decoded_images, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text(
        "a file, so that no folder can be made below it"
    )  # holds for root, too
    monkeypatch.setenv("NORMLAB_CACHE", str(tmp_path / "file" / "cache"))
    write_cifar()
    assert (
        load_data(image_cfg("cifar10"), seed=0).fingerprint
        == load_data(image_cfg("cifar10"), seed=0).fingerprint
    )
    assert len(decoded_images) == 100


def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    arrays = cache.decoded("x", "y", ("a",), lambda: {"a": np.arange(3)})
    assert arrays["a"].tolist() == [0, 1, 2] and entries(tmp_path) == []


def test_the_folder_is_the_users_unless_named(monkeypatch):
    monkeypatch.delenv("NORMLAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache.cache_folder() == Path("/x/normlab")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.cache_folder() == Path("~/.cache/normlab").expanduser()
