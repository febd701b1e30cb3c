"""The store: append-only lines, torn ones cut, done trials first."""

import errno
import fcntl
import resource
import threading

import pytest

from normlab.errors import NormLabError
from normlab.records.lines import BENCHMARKS, Lines, read_lines
from normlab.records.record import Record
from normlab.records.store import Store


def record(key="k", status="ok", **fields):
    return Record(key, {}, status=status, **fields)


def test_appends_and_finds_in_any_file(tmp_path):
    with Store(tmp_path) as store:
        store.append("first", record("a", metrics={"x": 1.0}))
        store.append("second", record("b"))
    assert sorted(Store(tmp_path).done()) == ["a", "b"]
    assert len(read_lines(tmp_path / "first.jsonl")) == 1


def test_a_finished_record_outlives_a_later_failure(tmp_path):
    with Store(tmp_path) as store:
        store.append("c", record("a", "failed"))
        assert Store(tmp_path).done() == {}
        store.append("c", record("a", "ok", seed=7))
        store.append("c", record("a", "failed"))
    assert Store(tmp_path).records["a"].seed == 7
    assert len((tmp_path / "c.jsonl").read_text().splitlines()) == 3  # nothing is rewritten


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_torn_last_line_is_reported_and_cut(tmp_path, capsys, cut):
    with Store(tmp_path) as store:
        store.append("c", record("a"))
        store.append("c", record("b"))
    path = tmp_path / "c.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    survivors = ["a", "b"] if cut == 1 else ["a"]  # a lost end of line loses nothing
    assert sorted(Store(tmp_path).done()) == survivors  # reading alone repairs nothing
    assert path.read_bytes() == whole[:-cut]
    with Store(tmp_path) as store:
        assert sorted(store.done()) == survivors
        store.append("c", record("c"))
    assert sorted(Store(tmp_path).done()) == [*survivors, "c"]
    assert ("cut a torn last line off" in capsys.readouterr().err) == (cut > 1)


def test_damage_elsewhere_is_refused_with_its_place(tmp_path):
    (tmp_path / "c.jsonl").write_text(
        record("a").to_json() + "\nnoise\n" + record("b").to_json() + "\n"
    )
    with pytest.raises(NormLabError, match=r"c\.jsonl, line 2"):
        Store(tmp_path)


def test_records_of_a_later_schema_are_refused(tmp_path):
    line = record("a").to_json().replace('"schema": 2', '"schema": 99')
    (tmp_path / "c.jsonl").write_text(line + "\n")
    with pytest.raises(NormLabError, match=r"c\.jsonl, line 1: a record of schema 99"):
        Store(tmp_path)


def test_rows_of_benchmarks_lie_beside_records_and_are_written_beside_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr("normlab.records.lines.WAIT_S", 0.0)
    with Store(tmp_path) as store, Lines(tmp_path, BENCHMARKS, "normlab bench") as rows:
        store.append("c", record("a"))
        rows.write("bench", ['{"ratio": 1}', '{"ratio": 2}'])
        with pytest.raises(NormLabError, match="another `normlab bench` is writing"):
            Lines(tmp_path, BENCHMARKS, "normlab bench").__enter__()
    assert (tmp_path / "bench.jsonl").read_text() == '{"ratio": 1}\n{"ratio": 2}\n'
    assert list(Store(tmp_path).records) == ["a"]


def test_a_torn_row_of_a_benchmark_is_cut_before_the_next(tmp_path, capsys):
    path = tmp_path / "bench.jsonl"
    path.write_text('{"ratio": 1}\n{"rat')
    with Lines(tmp_path, BENCHMARKS) as rows:
        rows.write("bench", ['{"ratio": 2}'])
    assert path.read_text() == '{"ratio": 1}\n{"ratio": 2}\n'
    assert "cut a torn last line off (5 bytes)" in capsys.readouterr().err


def test_a_row_that_does_not_fit_is_an_error_and_leaves_no_part_of_itself(tmp_path):
    with Store(tmp_path) as store:
        store.append("c", record("a"))
        before = (tmp_path / "c.jsonl").read_bytes()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, limits[1]))
        try:
            with pytest.raises(NormLabError, match=r"c\.jsonl cannot be written \(File too large"):
                store.append("c", record("b"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (tmp_path / "c.jsonl").read_bytes() == before
        store.append("c", record("c"))
    assert list(Store(tmp_path).records) == ["a", "c"]


def test_what_fails_on_the_way_in_gives_the_lock_up(tmp_path):
    store = Store(tmp_path)
    (tmp_path / "c.jsonl").write_text("noise\n")
    with pytest.raises(NormLabError, match=r"c\.jsonl, line 1"):
        store.__enter__()
    (tmp_path / "c.jsonl").unlink()
    with Store(tmp_path):
        pass


def test_a_disk_without_locks_is_not_called_another_run(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(NormLabError, match=r"cannot be locked \(No locks available\)"):
        Store(tmp_path).__enter__()


def test_who_writes_waits_for_another_that_is_about_to_end(tmp_path, capsys):
    first = Store(tmp_path).__enter__()
    threading.Timer(0.3, first.__exit__, (None, None, None)).start()
    with Store(tmp_path) as second:
        second.append("c", record("a"))
    assert "another `normlab run` is writing" in capsys.readouterr().err
    assert list(Store(tmp_path).records) == ["a"]
