"""Every data set from where it comes, and one sentence for every way in which it can be broken."""

import math
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from samples import REAL_DATA, encoded, image_cfg, text_cfg

from normlab.data import images, load_data
from normlab.data.availability import PUBLISHED
from normlab.errors import NormLabError


def refusal(cfg) -> str:
    with pytest.raises(NormLabError) as refused:
        load_data(cfg, seed=0)
    sentence = str(refused.value)
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


def test_digits():
    data = load_data(image_cfg("digits"), seed=0)
    assert (data.name, data.input_shape, data.num_outputs, data.num_train) == (
        "digits",
        (1, 8, 8),
        10,
        1257,
    )
    x = torch.cat([x for x, _ in data.eval_batches("train")])
    assert len(x[:, 0].unique()) == 17  # 0 to 16, as scikit-learn has them
    assert load_data(image_cfg("digits"), seed=1).fingerprint == data.fingerprint


@pytest.mark.parametrize(("name", "num_classes"), [("cifar10", 10), ("cifar100", 100)])
def test_cifar_from_parquet(name, num_classes, write_cifar):
    write_cifar(name)
    data = load_data(image_cfg(name, augment=True), seed=0)
    assert (data.name, data.input_shape, data.num_outputs, data.num_train) == (
        name,
        (3, 32, 32),
        num_classes,
        36,
    )
    x, y = data.batch(0)
    assert x.shape == (8, 3, 32, 32) and y.min() >= 0 and y.max() < num_classes
    assert {
        split: sum(len(y) for _, y in data.eval_batches(split)) for split in ("val", "test")
    } == {
        "val": 4,
        "test": 10,
    }
    assert sum(y.sum() for _, y in data.eval_batches("test")) == 45 * (
        9 if name == "cifar100" else 1
    )


def test_a_jpeg_copy_of_cifar_says_so(write_cifar):
    write_cifar(form="JPEG")
    for _ in range(2):  # decoded, then from the cache
        assert load_data(image_cfg("cifar10"), seed=0).name == "cifar10 (JPEG copy)"


def test_imagefolder(write_folder):
    folder = write_folder()
    (folder / "a" / "notes.txt").write_text("no image")
    (folder / ".hidden").mkdir()
    data = load_data(image_cfg("imagefolder", path=str(folder)), seed=0)
    assert (data.name, data.input_shape, data.num_outputs, data.num_train) == (
        "pictures",
        (3, 12, 10),
        2,
        14,
    )
    assert load_data(
        image_cfg("imagefolder", path=str(folder), image_size=8), seed=0
    ).input_shape == (3, 8, 8)


def test_the_trivial_loss_of_unequal_classes_is_by_their_frequencies(write_folder):
    folder = write_folder(per_class=20)
    for i in range(2, 20):
        (folder / "b" / f"{i:02}.png").unlink()
    data = load_data(image_cfg("imagefolder", path=str(folder), batch_size=4), seed=0)
    train, val = (
        torch.cat([y for _, y in data.eval_batches(split)]).bincount(minlength=2)
        for split in ("train", "val")
    )
    assert train[0] > 4 * train[1]
    share = (train + 1) / (train + 1).sum()
    expected = float(-(val * share.log()).sum() / val.sum())
    assert data.trivial_loss == pytest.approx(expected, rel=1e-5)
    assert abs(expected - math.log(2)) > 0.1


def test_the_trivial_loss_of_equal_classes_is_ln_of_their_number():
    assert load_data(image_cfg("digits"), seed=0).trivial_loss == math.log(10)
    labels = {"train": torch.tensor([0, 1, 2, 2, 1, 0]), "val": torch.tensor([0, 0, 1])}
    assert images._trivial_loss(labels, 3) == math.log(3)


def test_imagefolder_resizes_images_of_any_size_and_mode(write_folder):
    folder = write_folder()
    (folder / "a" / "grey.png").write_bytes(encoded(np.full((40, 30), 128, np.uint8)))
    (folder / "b" / "see-through.png").write_bytes(encoded(np.full((9, 50, 4), 200, np.uint8)))
    assert "different sizes" in refusal(image_cfg("imagefolder", path=str(folder)))
    data = load_data(image_cfg("imagefolder", path=str(folder), image_size=16), seed=0)
    assert data.input_shape == (3, 16, 16) and data.num_train == 16


def test_pydoc_is_the_same_each_time_and_has_no_topic_twice():
    from pydoc_data.topics import topics

    data = load_data(text_cfg("pydoc"), seed=0)
    assert data.name == "pydoc" and data.num_train > 100_000
    assert data.fingerprint == load_data(text_cfg("pydoc"), seed=1).fingerprint
    total = sum(len(data._tokens[split]) for split in ("train", "val", "test"))
    distinct = set(topics.values())
    assert total == sum(map(len, distinct)) + len(distinct) - 1


def test_tiny_shakespeare_and_textfile(tmp_path, monkeypatch):
    text = "To be, or not to be, that is the question:\r\n" * 100
    (tmp_path / "tiny_shakespeare").mkdir()
    (tmp_path / "tiny_shakespeare" / "input.txt").write_bytes(text.encode())
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path))
    published = load_data(text_cfg("tiny_shakespeare"), seed=0)
    own = load_data(
        text_cfg("textfile", path=str(tmp_path / "tiny_shakespeare" / "input.txt")), seed=0
    )
    assert (published.name, own.name) == ("tiny_shakespeare", "input.txt")
    assert published.fingerprint == own.fingerprint
    assert own.num_train == 4300 * 90 // 100 and "\r" not in own.vocabulary
    assert [len(own._tokens[split]) for split in ("val", "test")] == [215, 215]


def test_wikitext2_with_and_without_its_training_part(tmp_path, monkeypatch):
    folder = tmp_path / "wikitext-2"
    folder.mkdir()
    for part, word in (("valid", "validation "), ("test", "test ")):
        (folder / f"{part}.txt").write_text(word * 100)
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path))
    partial = load_data(text_cfg("wikitext2"), seed=0)
    assert (partial.name, partial.num_train) == ("wikitext2 (validation part)", 990)
    (folder / "train.txt").write_text("training " * 100)
    whole = load_data(text_cfg("wikitext2"), seed=0)
    assert (whole.name, whole.num_train, len(whole._tokens["val"])) == ("wikitext2", 900, 1100)


# Real data: what every installation has, and what NORMLAB_DATA holds besides
REAL_IMAGES = {"digits": (1257, (1, 8, 8)), "cifar10": (45_000, (3, 32, 32))}
REAL_TEXTS = {"pydoc": None, "tiny_shakespeare": 65, "wikitext2": None}


def here(names: Iterable[str]) -> list[str]:
    return [
        name
        for name in names
        if name not in PUBLISHED or Path(REAL_DATA, PUBLISHED[name].folder).is_dir()
    ]


@pytest.mark.parametrize("name", here(REAL_IMAGES))
def test_real_images(name, monkeypatch):
    monkeypatch.setenv("NORMLAB_DATA", REAL_DATA)
    num_train, shape = REAL_IMAGES[name]
    data = load_data(image_cfg(name, batch_size=128, augment=True), seed=0)
    assert (data.input_shape, data.num_outputs, data.num_train) == (shape, 10, num_train)
    counts = torch.cat([y for _, y in data.eval_batches("train")]).bincount() / num_train
    assert (
        counts.min() > 0.085 and counts.max() < 0.115
    )  # balanced, so the split is no stretch of a sorted file
    x = torch.cat([data.batch(step)[0] for step in range(20)])
    assert x.isfinite().all() and 0.8 < x.std() < 1.4
    small = load_data(image_cfg(name, subset=500, eval_subset=100, image_size=4), seed=0)
    assert small.input_shape == (shape[0], 4, 4) and small.num_train == 500


@pytest.mark.parametrize("name", here(REAL_TEXTS))
def test_real_texts(name, monkeypatch):
    monkeypatch.setenv("NORMLAB_DATA", REAL_DATA)
    data = load_data(text_cfg(name), seed=0)
    assert data.num_train > 100_000 and 3 < data.trivial_loss < 3.6
    assert data.num_outputs == (REAL_TEXTS[name] or data.num_outputs)


@pytest.mark.parametrize("name", ["cifar10", "tiny_shakespeare", "wikitext2"])
def test_from_the_hub(name, monkeypatch):
    """What is asked of `datasets`, answered here in place of the hub; no file of ours is in the
    way afterwards."""
    import datasets

    def load_dataset(repo, config, revision):
        asked.append((repo, config, revision))
        if name == "cifar10":
            images = [
                {"bytes": encoded(np.full((32, 32, 3), i, np.uint8)), "path": None}
                for i in range(20)
            ]
            features = datasets.Features(
                {"img": datasets.Image(), "label": datasets.Value("int64")}
            )
            rows = datasets.Dataset.from_dict(
                {"img": images, "label": [i % 10 for i in range(20)]}, features
            )
            return {"train": rows, "test": rows}
        return {
            split: datasets.Dataset.from_dict({"text": [f"{split} one \n", f"{split} two \n"] * 30})
            for split in ("train", "validation", "test")
        }

    asked = []
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr("normlab.data.availability.hub_unreachable", lambda: None)
    cfg = image_cfg(name) if name == "cifar10" else text_cfg(name)
    data = load_data(cfg, seed=0)
    assert data.name == name and asked == [
        {
            "cifar10": ("uoft-cs/cifar10", "plain_text", None),
            "tiny_shakespeare": ("karpathy/tiny_shakespeare", None, "refs/convert/parquet"),
            "wikitext2": ("Salesforce/wikitext", "wikitext-2-raw-v1", None),
        }[name]
    ]
    if name == "cifar10":  # decoded now, so neither the hub nor `datasets` is asked again
        monkeypatch.setattr("normlab.data.availability.hub_unreachable", lambda: "asked")
        assert load_data(cfg, seed=0).fingerprint == data.fingerprint and len(asked) == 1


def test_from_the_cache_of_datasets_without_a_network(write_cifar, tmp_path, monkeypatch, capfd):
    import datasets

    folder = write_cifar()
    expected = load_data(image_cfg("cifar10"), seed=0).fingerprint
    monkeypatch.delenv("NORMLAB_DATA")
    datasets.disable_progress_bars()
    datasets.load_dataset(
        str(folder.parent), cache_dir=str(tmp_path / "hf")
    )  # as the hub's would be prepared
    (prepared,) = (tmp_path / "hf").glob("*/default")
    info = next(prepared.rglob("dataset_info.json"))
    info.write_text(
        info.read_text().replace('"config_name": "default"', '"config_name": "plain_text"')
    )
    (tmp_path / "hf" / "uoft-cs___cifar10").mkdir()
    prepared.rename(tmp_path / "hf" / "uoft-cs___cifar10" / "plain_text")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    capfd.readouterr()
    assert load_data(image_cfg("cifar10"), seed=0).fingerprint == expected
    assert capfd.readouterr() == ("", "")


# ---- broken data


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "middle"])
def test_corrupt_parquet(damage, write_cifar):
    file = write_cifar() / "train-00000-of-00001.parquet"
    content = file.read_bytes()
    file.write_bytes(
        {
            "empty": b"",
            "cut": content[: len(content) // 2],
            "text": b"this is no parquet file",
            "middle": content[:4] + bytes(len(content) - 8) + content[-4:],
        }[damage]
    )
    sentence = refusal(image_cfg("cifar10"))
    assert "data=cifar10" in sentence and file.name in sentence


def test_corrupt_image_in_a_parquet_file(write_cifar):
    good = [
        {"bytes": encoded(np.zeros((32, 32, 3), np.uint8)), "path": f"{i}.png"} for i in range(40)
    ]
    good[17]["bytes"] = good[17]["bytes"][:40]
    write_cifar(img=good)
    sentence = refusal(image_cfg("cifar10"))
    assert "image 17" in sentence and "17.png" in sentence and "split train" in sentence


@pytest.mark.parametrize(
    ("replaced", "word"),
    [
        ({"label": [10] * 40}, "labels"),
        ({"label": [-1] * 40}, "labels"),
        ({"img": ["text"] * 40}, "cifar10"),
    ],
)
def test_parquet_of_another_kind(replaced, word, write_cifar):
    write_cifar(**replaced)
    assert word in refusal(image_cfg("cifar10"))


def test_parquet_without_the_columns_or_the_split(write_cifar):
    folder = write_cifar("cifar100")
    folder.parent.rename(folder.parents[1] / "cifar10")  # fine_label where label is expected
    assert "label" in refusal(image_cfg("cifar10"))
    (folder.parents[1] / "cifar10" / "plain_text" / "test-00000-of-00001.parquet").unlink()
    assert "uoft-cs/cifar10" in refusal(image_cfg("cifar10"))


@pytest.mark.parametrize("content", [b"", b"not an image", "cut"])
def test_corrupt_image_in_a_folder(content, write_folder):
    folder = write_folder()
    file = folder / "b" / "07.png"
    file.write_bytes(file.read_bytes()[:200] if content == "cut" else content)
    assert str(file) in refusal(image_cfg("imagefolder", path=str(folder)))


def test_folders_that_are_no_image_folders(tmp_path, write_folder):
    (tmp_path / "empty").mkdir()
    assert "0 sub-folders" in refusal(image_cfg("imagefolder", path=str(tmp_path / "empty")))
    folder = write_folder()
    (folder / "c").mkdir()
    assert str(folder / "c") in refusal(image_cfg("imagefolder", path=str(folder)))
    (folder / "c").rmdir()
    (folder / "a").rename(folder / "train")
    (folder / "b").rename(folder / "test")
    sentence = refusal(image_cfg("imagefolder", path=str(folder)))
    assert "splits and not classes" in sentence and f"data.path={folder / 'train'}." in sentence
    (folder / "test").rename(folder / "val")  # which comes after it
    assert f"data.path={folder / 'train'}." in refusal(image_cfg("imagefolder", path=str(folder)))


def test_too_few_images(write_folder):
    assert "2 images" in refusal(image_cfg("imagefolder", path=str(write_folder(per_class=1))))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty text"),
        (b" \n\n", "empty text"),
        (b"\x89PNG\xff\xfe\x00", "no UTF-8"),
        (b"abc\0" * 99, "binary"),
        (b"short", "data.context=16"),
        (b"x", "data.context=16"),
    ],
)
def test_files_that_are_no_text(content, words, tmp_path):
    file = tmp_path / "input.txt"
    file.write_bytes(content)
    sentence = refusal(text_cfg("textfile", path=str(file)))
    assert words in sentence and "input.txt" in sentence


def test_nothing_is_printed(write_cifar, capfd):
    write_cifar()
    load_data(image_cfg("cifar10"), seed=0)
    assert capfd.readouterr() == ("", "")


def test_importing_the_package_does_not_import_torch():
    code = "import sys, normlab.data; sys.exit('torch' in sys.modules or 'datasets' in sys.modules)"
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0
