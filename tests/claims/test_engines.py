"""What an engine says of a worker that gives no record."""

from dataclasses import replace

import pytest

from normlab.claims.design import Design
from normlab.claims.registry import load_claim
from normlab.claims.run.engines import build_engine


@pytest.fixture
def job(toy):
    claim = load_claim("toy", toy(seeds=1))
    return Design(claim, claim.protocols["quick"]).progress({}).jobs[0]


def test_a_worker_that_raises_is_not_called_dead(job, toy):
    engine = build_engine("local", 1, toy())
    # The note of a trial has the name of its key: for this one there is no folder.
    try:
        record = engine.submit(replace(job, key="nowhere/a")).result(timeout=60)
    finally:
        engine.close()
    assert record.status == "failed"
    assert record.message.startswith("FileNotFoundError: ") and "nowhere/a" in record.message


def test_a_task_of_rays_that_raises_is_not_called_dead():
    exceptions = pytest.importorskip("ray.exceptions")
    from normlab.claims.run.engines.ray import _words

    raised = exceptions.RayTaskError("f", "trace", RuntimeError("no room"), "p", 1, "127.0.0.1")
    assert _words(raised) == "RuntimeError: no room"
    assert _words(exceptions.WorkerCrashedError()) == "its worker died: WorkerCrashedError"


class Handle:
    """A job of submitit's that raises whenever it is asked."""

    def __init__(self, error):
        self.error = error

    def done(self):
        raise self.error

    def result(self):
        raise self.error

    def cancel(self):
        pass


def test_an_error_without_words_is_named_by_its_kind(job):
    pytest.importorskip("submitit")
    from normlab.claims.run.engines.submitit import _record

    assert _record(Handle(OSError()), job).message == "its job died: OSError"


def test_submitit_without_an_answer_leaves_nobody_waiting(job, toy, tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.chdir(tmp_path)  # submitit keeps its logs under runs/
    monkeypatch.setattr("threading.excepthook", lambda _: None)  # the thread raises it, too
    engine = build_engine("submitit", 1, toy())
    monkeypatch.setattr(engine._executor, "submit", lambda *_: Handle(OSError("no queue")))
    with pytest.raises(OSError, match="no queue"):
        engine.submit(job).result(timeout=20)
    engine.close()
