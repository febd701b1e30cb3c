"""What is known of the code that made records, of any version of the files that say it."""

import json

from normlab.records.provenance import (
    add_recheck,
    code_state,
    load_rechecks,
    load_sources,
    note_sources,
    way_of,
    write_sources,
)
from normlab.records.record import Record
from normlab.records.tree import here

WAY = way_of({"trial": "toy", "seed": 0})


def own(source, git="c0ffee"):
    return Record("key", {"trial": "toy", "seed": 0}, code={"source": source, "git": git})


def row(before, now, same=True):
    return {"way": WAY, "key": "k", "claim": "toy", "arm": "A", "before": before, "now": now,
            "same": same, "differs": ""}  # fmt: skip


def test_sources_are_noted_once_with_a_schema(tmp_path):
    for _ in range(2):
        note_sources(tmp_path)
    content = json.loads((tmp_path / "sources.json").read_text())
    assert content["schema"] == 2
    assert content["sources"] == {code_state()["source"]: dict(here().hashes)}


def test_version_1_is_read_and_equals_no_code_of_today(tmp_path):
    path = tmp_path / "sources.json"
    path.write_text(json.dumps({"before": {"norms/batch.py": "6c53dcba"}}))
    assert load_sources(tmp_path).hashes("before") == {"norms/batch.py": "v1:6c53dcba"}
    note_sources(tmp_path)
    known = load_sources(tmp_path)
    assert known.hashes("before") == {"norms/batch.py": "v1:6c53dcba"}
    assert known.hashes(here().source) == here().hashes


def test_what_a_source_leaves_out_is_told_by_the_commit(tmp_path):
    files = {"old": {"norms/batch.py": "1"}, "new": {"norms/batch.py": "1", "claims/leak.py": "2"}}
    write_sources(tmp_path, files, {"c0ffee": {"claims/leak.py": "3"}}, ["old"])
    known = load_sources(tmp_path)
    assert known.state(own("old")) == "old@c0ffee" and known.state(own("new")) == "new"
    assert known.hashes("old@c0ffee") == {"norms/batch.py": "1", "claims/leak.py": "3"}
    assert known.hashes(known.state(own("old", git=None))) is None
    training = Record("key", {"model": {}, "norm": {}}, code={"source": "old", "git": "c0ffee"})
    assert known.state(training) == "old"


def test_the_same_bits_lead_from_one_state_to_the_next(tmp_path):
    """Rows of version 1 name a source alone: what the commit tells was not compared."""
    files = {"first": {"a": "1"}, "second": {"a": "2"}, "third": {"a": "3"}}
    write_sources(tmp_path, files, {"c0ffee": {}}, ["first", "second"])
    (tmp_path / "rechecks.json").write_text(json.dumps([row("first", "second")]))
    add_recheck(tmp_path, row("second@c0ffee", "third"))
    add_recheck(tmp_path, row("third", "fourth", same=False))
    known = load_sources(tmp_path)
    assert known.reached(WAY, "first@c0ffee") == {"second@c0ffee", "third"}
    assert known.reached(WAY, "first@decade") == {"second@decade"}
    assert known.reached("another way", "first@c0ffee") == set()


def test_rechecks_of_version_1_stay_when_one_is_added(tmp_path):
    (tmp_path / "rechecks.json").write_text(json.dumps([row("first", "second")]))
    add_recheck(tmp_path, row("second", "third"))
    content = json.loads((tmp_path / "rechecks.json").read_text())
    assert content["schema"] == 2 and content["rechecks"] == load_rechecks(tmp_path)
    assert [one["before"] for one in load_rechecks(tmp_path)] == ["first", "second"]


def test_damaged_files_say_nothing(tmp_path):
    for name in ("sources.json", "rechecks.json"):
        (tmp_path / name).write_text("{")
    assert load_sources(tmp_path).files == {} and load_rechecks(tmp_path) == []
