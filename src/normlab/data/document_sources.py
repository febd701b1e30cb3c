"""Documents as they are published, and the words in them.

AG News, and lines of the standard library's help.
"""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from normlab.data.availability import local_folder
from normlab.data.cache import Arrays, decoded, files_key
from normlab.data.hub import load_published
from normlab.data.options import DocumentDataConfig, DocumentTask
from normlab.data.splits import fixed_order
from normlab.errors import NormLabError

_WORD = re.compile(r"\w+|[^\w\s]")
_NEWS_CLASSES = 4
_TOPICS = 8
_SHORTEST_LINE = 4  # tokens: rulers, closing brackets and "See also:" are no documents
# Of each class, for validation and for testing each: as splits.py does for images.
_HELD_OUT = 0.15


@dataclass(frozen=True)
class RawDocuments:
    """`documents`, each a list of tokens, and `labels` (N,), -1 for a document of no class."""

    name: str
    num_classes: int
    documents: list[list[str]]
    labels: NDArray[np.int64]


def read_documents(cfg: DocumentDataConfig) -> RawDocuments:
    """The documents that `cfg` names; those of no class only where nothing is to be classified.

    Raises:
        NormLabError: a file is damaged.
    """
    if cfg.name == "ag_news":
        return _ag_news()
    raw = _pydoc_lines()
    if cfg.task is DocumentTask.masked:
        return raw
    kept = np.flatnonzero(raw.labels >= 0)
    documents = [raw.documents[i] for i in kept]
    return RawDocuments(raw.name, raw.num_classes, documents, raw.labels[kept])


def tokens_of(text: str) -> list[str]:
    """Lower-case words, and every other visible character on its own."""
    return _WORD.findall(text.lower())


def split_documents(labels: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Indices of the train, val and test splits, 15 % of each label to val and test.

    The same for ever. Labels take turns in every split, so that the beginning of one is as balanced
    as the whole.
    """
    # A document's place among those of its own label orders all of them: any piece of that order
    # has every label in its share.
    order = fixed_order(len(labels))
    place = np.empty(len(labels))  # among those of its label, from 0 to 1
    for label in np.unique(labels):
        own = labels[order] == label
        place[own] = (np.arange(own.sum()) + 0.5) / own.sum()
    order, place = order[place.argsort(kind="stable")], np.sort(place)
    val, test = np.searchsorted(place, (_HELD_OUT, 2 * _HELD_OUT))
    return {"train": order[test:], "val": order[:val], "test": order[val:test]}


def _ag_news() -> RawDocuments:
    folder = local_folder("ag_news")
    where = folder or "the Hugging Face hub"

    def decode() -> Arrays:
        # The test part of the hub's, there as here: 7,600 articles are enough, and every
        # installation has the same.
        rows = load_published("ag_news", ("test",), ("text", "label"))["test"]
        if not all(_is_article(*row) for row in rows):
            raise NormLabError(
                f"data=ag_news in {where} has rows without text or with labels outside 0 to "
                f"{_NEWS_CLASSES - 1}: pass a copy of fancyzhx/ag_news, or data=pydoc_lines."
            )
        # one line an article, as bytes
        text = "\n".join(" ".join(text.split()) for text, _ in rows).encode()
        labels = np.array([label for _, label in rows])
        return {"text": np.frombuffer(text, np.uint8), "labels": labels}

    # Kept because importing `datasets` takes longer than everything else that a short run loads.
    key = files_key(folder.glob("**/*.parquet")) if folder else "hub"
    arrays = decoded("ag_news", key, ("text", "labels"), decode)
    lines = arrays["text"].tobytes().decode().split("\n")
    documents = [tokens_of(line) for line in lines]
    return RawDocuments("ag_news (test part)", _NEWS_CLASSES, documents, arrays["labels"])


def _is_article(text: object, label: object) -> bool:
    return isinstance(text, str) and bool(tokens_of(text)) and label in range(_NEWS_CLASSES)


def _pydoc_lines() -> RawDocuments:
    """Each line of the language reference once, whatever its indentation.

    The class is the topic that it is from. Classes are the 8 topics that own most lines. A line
    that several topics share, or one of another topic, has none.
    """
    from pydoc_data.topics import topics

    # In reverse order, so that of several names of one text the first in the alphabet stays.
    first_name = {topics[name]: name for name in sorted(topics, reverse=True)}
    topics_of: dict[str, list[str]] = {}
    for text, name in sorted(first_name.items(), key=lambda item: item[1]):
        # Once for each topic: a line that its own topic repeats is still owned by it alone.
        for line in dict.fromkeys(" ".join(line.split()) for line in text.split("\n")):
            topics_of.setdefault(line, []).append(name)
    documents = {
        line: tokens for line in topics_of if len(tokens := tokens_of(line)) >= _SHORTEST_LINE
    }
    owner = [topics_of[line][0] if len(topics_of[line]) == 1 else "" for line in documents]
    counts = Counter(name for name in owner if name)
    classes = sorted(counts, key=lambda name: (-counts[name], name))[:_TOPICS]
    labels = np.array([classes.index(name) if name in classes else -1 for name in owner])
    return RawDocuments("pydoc_lines", _TOPICS, list(documents.values()), labels)
