"""Small data sets in their published forms, and an environment without the user's caches and
without a network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import encoded


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NORMLAB_DATA", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("HF_DATASETS_OFFLINE", raising=False)
    monkeypatch.setenv("NORMLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: refused at once


@pytest.fixture
def write_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a small CIFAR in the hub's columns under a new NORMLAB_DATA and returns its folder."""

    def write(
        name: str = "cifar10", num_train: int = 40, form: str = "PNG", **replaced: Any
    ) -> Path:
        import pyarrow as pa
        import pyarrow.parquet as pq

        folder = tmp_path / "data" / name / "plain_text"
        folder.mkdir(parents=True)
        draw = np.random.default_rng(0)
        for split, count in (("train", num_train), ("test", 10)):
            images = draw.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
            cells = [
                {"bytes": encoded(pixels, form), "path": f"{i}.png"}
                for i, pixels in enumerate(images)
            ]
            labels = [i % 10 for i in range(count)]
            columns = {"img": cells, "label": labels}
            if name == "cifar100":
                columns = {
                    "img": cells,
                    "fine_label": [9 * label for label in labels],
                    "coarse_label": labels,
                }
            columns |= {column: values[:count] for column, values in replaced.items()}
            pq.write_table(pa.table(columns), folder / f"{split}-00000-of-00001.parquet")
        monkeypatch.setenv("NORMLAB_DATA", str(tmp_path / "data"))
        return folder

    return write


@pytest.fixture
def write_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes an image folder with the classes a and b and returns it."""

    def write(per_class: int = 10, size: tuple[int, int] = (12, 10)) -> Path:
        root = tmp_path / "pictures"
        draw = np.random.default_rng(0)
        for name in ("a", "b"):
            (root / name).mkdir(parents=True)
            for i in range(per_class):
                pixels = draw.integers(0, 256, (*size, 3), dtype=np.uint8)
                (root / name / f"{i:02}.png").write_bytes(encoded(pixels))
        return root

    return write
