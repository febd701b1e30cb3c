"""Where a data set lies, asked before anything heavy is imported.

A missing one is reported within a second.
"""

import importlib.util
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from normlab.data.cache import has_decoded
from normlab.data.options import (
    DATA_CONFIGS,
    DataConfig,
    DocumentDataConfig,
    ImageDataConfig,
    ImageFolderConfig,
    TextDataConfig,
    TextFileConfig,
)
from normlab.errors import NormLabError, choices

_PROBE_SECONDS = 0.9


@dataclass(frozen=True)
class Published:
    """A data set of the Hugging Face hub, and the folder under NORMLAB_DATA that replaces it."""

    folder: str
    files: tuple[str, ...]  # glob patterns; the folder counts when each of them finds something
    repo: str
    config: str | None
    revision: str | None
    instead: str  # real data of the same modality that every installation has


PUBLISHED = {
    "cifar10": Published(
        "cifar10", ("**/*.parquet",), "uoft-cs/cifar10", "plain_text", None, "digits"
    ),
    "cifar100": Published(
        "cifar100", ("**/*.parquet",), "uoft-cs/cifar100", "cifar100", None, "digits"
    ),
    # The repository itself holds a loading script, which `datasets` no longer runs; this branch
    # holds its output.
    "tiny_shakespeare": Published(
        "tiny_shakespeare",
        ("input.txt",),
        "karpathy/tiny_shakespeare",
        None,
        "refs/convert/parquet",
        "pydoc",
    ),
    "wikitext2": Published(
        "wikitext-2",
        ("valid.txt", "test.txt"),
        "Salesforce/wikitext",
        "wikitext-2-raw-v1",
        None,
        "pydoc",
    ),
    "ag_news": Published(
        "ag_news", ("**/*.parquet",), "fancyzhx/ag_news", None, None, "pydoc_lines"
    ),
}


def _names_of(kind: type[DataConfig]) -> tuple[str, ...]:
    return tuple(name for name, options in DATA_CONFIGS.items() if issubclass(options, kind))


IMAGE_SETS = _names_of(ImageDataConfig)
TEXT_SETS = _names_of(TextDataConfig)
DOCUMENT_SETS = _names_of(DocumentDataConfig)


def check_available(cfg: DataConfig) -> None:
    """Return if the data set can be loaded. Quick and torch-free.

    Neither decodes nor downloads anything: a damaged file is found when it is loaded.

    Raises:
        NormLabError: it cannot, with what to pass instead.
    """
    name = cfg.name
    if name not in DATA_CONFIGS:
        raise choices("data set", name, DATA_CONFIGS)
    if name == "digits" and importlib.util.find_spec("sklearn") is None:
        raise NormLabError(
            "data=digits needs scikit-learn: pip install scikit-learn, or pass data=cifar10."
        )
    if isinstance(cfg, ImageFolderConfig) and not folder_of(cfg).is_dir():
        raise NormLabError(
            f"data.path={cfg.path} is no folder: pass one that holds one sub-folder of images a "
            "class."
        )
    if isinstance(cfg, TextFileConfig) and not file_of(cfg).is_file():
        raise NormLabError(
            f"data.path={cfg.path} is no file: pass a UTF-8 text file, or data=pydoc."
        )
    if name in PUBLISHED and not is_here(name):
        reason = hub_unreachable()
        if reason:
            published = PUBLISHED[name]
            root = os.environ.get("NORMLAB_DATA") or "not set"
            raise NormLabError(
                f"data={name} is neither under NORMLAB_DATA ({root}) nor downloaded before, and "
                f"the Hugging Face hub cannot be reached ({reason}): pass "
                f"NORMLAB_DATA=<folder that holds {published.folder}/> or "
                f"data={published.instead}."
            )


def folder_of(cfg: ImageFolderConfig) -> Path:
    """Where the images lie. Raises NormLabError where that was not given."""
    return _path(cfg.name, cfg.path, "folder with one sub-folder of images a class")


def file_of(cfg: TextFileConfig) -> Path:
    """Where the text lies. Raises NormLabError where that was not given."""
    return _path(cfg.name, cfg.path, "UTF-8 text file")


def _path(name: str, path: str | None, what: str) -> Path:
    if path is None:
        raise NormLabError(f"data={name} needs to know where: pass data.path=<{what}>.")
    return Path(path).expanduser()


def is_here(name: str) -> bool:
    """Whether a published data set can be loaded without the network."""
    return local_folder(name) is not None or has_decoded(name) or in_library_cache(name)


def local_folder(name: str) -> Path | None:
    """The folder of a published data set under NORMLAB_DATA, None where it is not there."""
    root, published = os.environ.get("NORMLAB_DATA"), PUBLISHED[name]
    if not root:
        return None
    folder = Path(root).expanduser() / published.folder
    return folder if all(any(folder.glob(pattern)) for pattern in published.files) else None


def in_library_cache(name: str) -> bool:
    """Whether `datasets` has downloaded and prepared the data set before."""
    return any(_library_cache(PUBLISHED[name]))


def _library_cache(published: Published) -> Iterator[Path]:
    # The order of the library's own look-up, repeated here: importing it would take seconds.
    home = os.environ.get("HF_HOME") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache"), "huggingface"
    )
    cache = Path(os.environ.get("HF_DATASETS_CACHE") or os.path.join(home, "datasets")).expanduser()
    # owner___name/config/version/hash/*.arrow: the last appears when the data set is prepared.
    return cache.glob(f"{published.repo.replace('/', '___')}/{published.config or '*'}/*/*/*.arrow")


def hub_unreachable() -> str | None:
    """Why the hub does not answer within a second, None where it does."""
    if any(
        os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE")
        for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
    ):
        return "offline mode is set"
    outcome: list[str | None] = []
    # In a thread of its own, because looking up a name knows no time limit.
    probe = threading.Thread(target=lambda: outcome.append(_probe()), daemon=True)
    probe.start()
    probe.join(_PROBE_SECONDS)
    return outcome[0] if outcome else "no answer within a second"


def _probe() -> str | None:
    import urllib.error
    import urllib.request

    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    request = urllib.request.Request(endpoint, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_PROBE_SECONDS):
            return None
    except urllib.error.HTTPError as error:
        # An answer, if only that this page is not for everybody; from 500 on, that there is none.
        return None if error.code < 500 else str(error)
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", None) or error)
