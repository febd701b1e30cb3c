"""Documents from where they come: AG News, lines of the standard library's help, and how both
are split."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from samples import REAL_DATA, document_cfg

from normlab.data import check_available, load_data
from normlab.data.document_sources import read_documents, split_documents, tokens_of
from normlab.data.documents import UNKNOWN, DocumentData
from normlab.errors import NormLabError

SETS = ["pydoc_lines", *(["ag_news"] if Path(REAL_DATA, "ag_news").is_dir() else [])]
SPLITS = ("train", "val", "test")


def rows(data: DocumentData, split: str) -> torch.Tensor:
    return torch.cat([x for x, _ in data.eval_batches(split)])


def test_splits_are_disjoint_complete_and_balanced_from_the_beginning():
    labels = np.repeat([0, 1, 2, -1], (40, 100, 33, 7))
    indices = split_documents(labels)
    assert sorted(np.concatenate(list(indices.values()))) == list(range(180))
    for label, count in ((0, 40), (1, 100), (2, 33), (-1, 7)):
        found = {split: (labels[index] == label).sum() for split, index in indices.items()}
        assert all(abs(found[split] - 0.15 * count) <= 1 for split in ("val", "test"))
    for index in split_documents(np.arange(400) % 4).values():
        for k in range(4, len(index), 4):
            assert (np.bincount(index[:k] % 4) == k // 4).all()
    assert not np.array_equal(np.sort(indices["train"]), indices["train"])


def test_tokens_are_lower_case_words_and_single_characters():
    assert (
        " ".join(tokens_of("It's  the U.S. (AP) #39; \u00e9_1"))
        == "it ' s the u . s . ( ap ) # 39 ; \u00e9_1"
    )


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("task", ["classify", "masked"])
def test_real_documents(name, task, monkeypatch):
    monkeypatch.setenv("NORMLAB_DATA", REAL_DATA)
    data = load_data(document_cfg(name, task, context=32, vocabulary=1000), seed=0)
    again = load_data(document_cfg(name, task, context=32, vocabulary=1000), seed=1)
    assert again.fingerprint == data.fingerprint and data.num_train > 2000
    texts = [
        set(
            map(
                tuple,
                rows(load_data(document_cfg(name, context=64, vocabulary=9999), 0), s).tolist(),
            )
        )
        for s in SPLITS
    ]
    assert not texts[0] & texts[1] and not texts[0] & texts[2] and not texts[1] & texts[2]
    x = rows(data, "train")
    assert (x == UNKNOWN).double().mean() < 0.3 and 0.01 < data.padding_share < 0.7
    if task == "classify":
        assert data.num_outputs == (4 if name == "ag_news" else 8)
        assert (
            0.97 * math.log(data.num_outputs)
            < data.trivial_loss
            < 1.0001 * math.log(data.num_outputs)
        )
    else:
        assert 4.5 < data.trivial_loss < math.log(1000)


def test_pydoc_lines_are_there_once_with_the_topic_they_are_from():
    from pydoc_data.topics import topics

    raw, classified = (
        read_documents(document_cfg("pydoc_lines", "masked")),
        read_documents(document_cfg("pydoc_lines")),
    )
    lines = {" ".join(line.split()) for text in topics.values() for line in text.split("\n")}
    assert len(raw.documents) == sum(len(tokens_of(line)) >= 4 for line in lines)
    assert (
        len(classified.documents)
        == (raw.labels >= 0).sum()
        == np.bincount(classified.labels, minlength=8).sum()
    )
    assert (np.diff(np.bincount(classified.labels)) <= 0).all()
    tokens = {
        text: {tuple(tokens_of(line)) for line in text.split("\n")} for text in topics.values()
    }
    topic_of = {}
    for document, label in zip(classified.documents, classified.labels, strict=True):
        owners = [text for text, documents in tokens.items() if tuple(document) in documents]
        if len(owners) == 1:  # else two lines that differ in case alone
            assert topic_of.setdefault(label, owners[0]) == owners[0]
    assert len(topic_of) == 8


def write_news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **replaced: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "data" / "ag_news"
    folder.mkdir(parents=True, exist_ok=True)
    columns = {
        "text": [f"Story\n{i}:  new" for i in range(60)],
        "label": [i % 4 for i in range(60)],
    } | replaced
    pq.write_table(pa.table(columns), folder / "test-00000-of-00001.parquet")
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path / "data"))


def test_ag_news_from_parquet_then_from_the_cache(tmp_path, monkeypatch):
    write_news(tmp_path, monkeypatch)
    first = load_data(document_cfg("ag_news"), seed=0)
    assert (first.name, first.num_outputs, first.num_train) == ("ag_news (test part)", 4, 44)
    assert [first.vocabulary[t] for t in first.batch(0)[0][0, [0, 2]]] == ["story", ":"]
    monkeypatch.setattr("normlab.data.document_sources.load_published", None)
    assert load_data(document_cfg("ag_news"), seed=0).fingerprint == first.fingerprint


@pytest.mark.parametrize(
    "replaced",
    [{"label": [4] * 60}, {"text": [" "] * 60}, {"text": list(range(60))}, {"text": [None] * 60}],
)
def test_news_of_another_kind(replaced, tmp_path, monkeypatch):
    write_news(tmp_path, monkeypatch, **replaced)
    with pytest.raises(
        NormLabError, match=r"without text or with labels outside 0 to 3.*data=pydoc_lines"
    ):
        load_data(document_cfg("ag_news"), seed=0)


def test_missing_news_without_a_network():
    with pytest.raises(NormLabError, match="holds ag_news/> or data=pydoc_lines"):
        check_available(document_cfg("ag_news"))
