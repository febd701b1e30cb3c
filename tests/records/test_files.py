"""A file is replaced whole or not at all."""

import threading

import pytest

from normlab.records.files import held, replacing, write_atomically


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


def test_a_folder_is_held_by_one_and_waited_for(tmp_path, capsys):
    order = []
    inside = threading.Event()

    def second():
        inside.wait()
        with held(tmp_path, "another is at it: waiting."):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with held(tmp_path, "unsaid"):
        inside.set()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert capsys.readouterr().err == "another is at it: waiting.\n"
