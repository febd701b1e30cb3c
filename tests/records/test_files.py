"""A file is replaced whole or not at all."""

import pytest

from normlab.records.files import replacing, write_atomically


def test_replaces_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "verdicts.json"
    for text in ("old", "größer"):
        write_atomically(path, text)
        assert path.read_bytes() == text.encode() and list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_content(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as draft:
        draft.write_text("half of")
        assert path.read_text() == "old"
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_others_may_read_what_is_written(tmp_path):
    path = tmp_path / "record.json"
    plain = tmp_path / "plain"
    plain.write_text("")
    write_atomically(path, "{}")
    assert path.stat().st_mode == plain.stat().st_mode  # as the user's umask has it
