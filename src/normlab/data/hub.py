"""Rows of a published data set through Hugging Face `datasets`.

From NORMLAB_DATA, the library's own cache, or the hub.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from normlab.data.availability import PUBLISHED, in_library_cache, local_folder
from normlab.errors import NormLabError

Rows = list[tuple[Any, ...]]  # each with the values of the columns that were asked for


def load_published(
    name: str, splits: Iterable[str], columns: Sequence[str], image_column: str | None = None
) -> dict[str, Rows]:
    """The rows of each of `splits`; `image_column` holds {"bytes", "path"}, not decoded.

    Raises:
        NormLabError: a file is damaged, a split or column is missing or empty, or the download
            fails.
    """
    import datasets
    import pyarrow

    published, folder = PUBLISHED[name], local_folder(name)
    try:
        with _quietly(), tempfile.TemporaryDirectory() as scratch:
            # A folder is streamed, so that no second copy is written into the library's cache.
            if folder:
                source = datasets.load_dataset(str(folder), streaming=True, cache_dir=scratch)
            else:
                source = _from_hub_or_cache(name)
            # Read inside the block: a streamed file is opened, and found damaged, only here.
            return {split: _rows(source[split], split, columns, image_column) for split in splits}
    except KeyError as error:
        raise NormLabError(
            f"{folder or published.repo} has no split or column {error}: pass a copy of "
            f"{published.repo}, or data={published.instead}."
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


@contextmanager
def _quietly() -> Iterator[None]:
    """No bars, and no log: what the library logs as an error it raises, too."""
    import datasets

    datasets.disable_progress_bars()
    verbosity = datasets.logging.get_verbosity()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    try:
        yield
    finally:
        datasets.logging.set_verbosity(verbosity)


def _from_hub_or_cache(name: str) -> Any:
    import datasets

    # What is cached is taken without asking the hub: with no network, that costs 23 s of retries.
    published, offline = PUBLISHED[name], datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = offline or in_library_cache(name)
    try:
        return datasets.load_dataset(published.repo, published.config, revision=published.revision)
    finally:
        datasets.config.HF_HUB_OFFLINE = offline


def _rows(table: Any, split: str, columns: Sequence[str], image_column: str | None) -> Rows:
    import datasets

    if image_column:
        table = table.cast_column(image_column, datasets.Image(decode=False))
    rows = []
    for row in table:
        rows.append(tuple(row[column] for column in columns))
    if not rows:
        raise ValueError(f"its {split} split is empty")
    return rows


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
