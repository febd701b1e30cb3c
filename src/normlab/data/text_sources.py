"""Texts as they are published: the standard library's, Shakespeare, WikiText-2, one's own file."""

from dataclasses import dataclass
from pathlib import Path

from normlab.data.availability import PUBLISHED, file_of, local_folder
from normlab.data.hub import Rows, load_published
from normlab.data.options import TextDataConfig, TextFileConfig
from normlab.errors import NormLabError


@dataclass(frozen=True)
class RawText:
    """The three splits of a text."""

    name: str
    train: str
    val: str
    test: str


def read_text(cfg: TextDataConfig) -> RawText:
    """The text that `cfg` names.

    Raises:
        NormLabError: a file is empty or no text.
    """
    if cfg.name == "pydoc":
        return _contiguous("pydoc", _pydoc())
    if isinstance(cfg, TextFileConfig):
        file = file_of(cfg)
        return _contiguous(file.name, _read(file))
    folder = local_folder(cfg.name)
    if cfg.name == "wikitext2":
        return _wikitext2(folder)
    if folder:
        return _contiguous(cfg.name, _read(folder / PUBLISHED[cfg.name].files[0]))
    # The published splits are put together, and then cut as the text of a file is.
    return _contiguous(cfg.name, "".join(_published(cfg.name)))


def _pydoc() -> str:
    """The language reference that `help()` shows, each topic once.

    In alphabetical order of the first of its names.
    """
    from pydoc_data.topics import topics

    return "\n".join(dict.fromkeys(topics[name] for name in sorted(topics)))


def _wikitext2(folder: Path | None) -> RawText:
    if folder is None:
        return RawText("wikitext2", *_published("wikitext2"))
    val, test = _read(folder / "valid.txt"), _read(folder / "test.txt")
    if (folder / "train.txt").is_file():
        return RawText("wikitext2", _read(folder / "train.txt"), val, test)
    # The training part is missing: train on most of the validation part, and let the name say so.
    cut = len(val) * 9 // 10
    return RawText("wikitext2 (validation part)", val[:cut], val[cut:], test)


def _published(name: str) -> list[str]:
    splits = load_published(name, ("train", "validation", "test"), ("text",))
    return ["".join(_texts(rows)) for rows in splits.values()]


def _texts(rows: Rows) -> list[str]:
    return [text for (text,) in rows]


def _contiguous(name: str, text: str) -> RawText:
    """90 % for training, then 5 % each for validation and test.

    Neighbouring text must not sit in two splits, so each is one piece.
    """
    val, test = len(text) * 90 // 100, len(text) * 95 // 100
    return RawText(name, text[:val], text[val:test], text[test:])


def _read(file: Path) -> str:
    try:
        # A byte-order mark, which Windows editors write, is no character of the text.
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise NormLabError(
            f"{file} cannot be read ({error.strerror}): pass another file or data=pydoc."
        ) from error
    except UnicodeDecodeError as error:
        raise NormLabError(
            f"{file} is no UTF-8 text (byte {error.start}): convert it or pass data=pydoc."
        ) from error
    if "\0" in text:
        raise NormLabError(
            f"{file} is a binary file and no text: pass a UTF-8 text file or data=pydoc."
        )
    if not text.strip():
        raise NormLabError(f"{file} is an empty text: pass another file or data=pydoc.")
    return text
