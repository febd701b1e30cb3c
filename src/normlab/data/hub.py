"""Rows of a published data set through Hugging Face `datasets`: from NORMLAB_DATA, its cache, or the hub."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from normlab.data.availability import PUBLISHED, in_library_cache, local_folder
from normlab.errors import NormLabError


def load_published(
    name: str, splits: Iterable[str], columns: Sequence[str], image_column: str | None = None
) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each of `splits`, each row its `columns`; `image_column` holds {"bytes", "path"}, not decoded.

    NormLabError where a file is damaged, a split or column is missing or empty, or the download fails.
    """
    import datasets
    import pyarrow

    datasets.disable_progress_bars()
    verbosity = datasets.logging.get_verbosity()
    datasets.logging.set_verbosity(
        datasets.logging.CRITICAL
    )  # what it logs as an error it raises, too
    published, folder = PUBLISHED[name], local_folder(name)
    offline = datasets.config.HF_HUB_OFFLINE
    try:
        with tempfile.TemporaryDirectory() as scratch:
            if folder:
                # Streamed, so that no second copy is written into the library's cache
                source = datasets.load_dataset(str(folder), streaming=True, cache_dir=scratch)
            else:
                # What is cached is taken without asking the hub, which costs 23 s of retries where there is no network
                datasets.config.HF_HUB_OFFLINE = offline or in_library_cache(name)
                source = datasets.load_dataset(
                    published.repo, published.config, revision=published.revision
                )
            tables = {}
            for split in splits:
                rows = source[split]
                if image_column:
                    rows = rows.cast_column(image_column, datasets.Image(decode=False))
                tables[split] = [tuple(row[column] for column in columns) for row in rows]
                if not tables[split]:
                    raise ValueError(f"its {split} split is empty")
            return tables
    except KeyError as error:
        raise NormLabError(
            f"{folder or published.repo} has no split or column {error}: pass a copy of {published.repo}, or "
            f"data={published.instead}."
        ) from error
    except (
        OSError,
        ValueError,
        datasets.exceptions.DatasetsError,
        pyarrow.ArrowException,
    ) as error:
        place = (folder and _damaged_file(folder)) or folder or "the Hugging Face hub"
        reason = (str(error) or type(error).__name__).splitlines()[0].split(". ")[0].rstrip(".")
        raise NormLabError(
            f"data={name} cannot be read from {place} ({reason}): pass another NORMLAB_DATA or "
            f"data={published.instead}."
        ) from error
    finally:
        datasets.config.HF_HUB_OFFLINE = offline
        datasets.logging.set_verbosity(verbosity)


def _damaged_file(folder: Path) -> Path | None:
    """The first parquet file that cannot be read: what `datasets` reports names none."""
    import pyarrow
    import pyarrow.parquet

    for file in sorted(folder.glob("**/*.parquet")):
        try:
            pyarrow.parquet.read_table(file)
        except (OSError, pyarrow.ArrowException):
            return file
    return None
