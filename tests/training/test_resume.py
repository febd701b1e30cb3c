"""A resumed run: what the unbroken one would have been, and no step of it counted twice or left."""

from types import SimpleNamespace

import pytest
import torch

from normlab.config.compose import compose
from normlab.errors import NormLabError
from normlab.training import fit as fit_module
from normlab.training.fit import fit
from normlab.training.step import train_steps

QUICK = ["trainer.max_steps=40", "data.batch_size=16", "logger=none", "trainer.progress=false"]


def run(*overrides, run_dir=None):
    return fit(compose([*QUICK, *overrides]), run_dir)


@pytest.mark.parametrize(
    "overrides",
    [
        ["norm=batchnorm"],
        ["norm=batchnorm", "norm.ghost_batch=4", "optim=adamw"],
        ["norm=batchrenorm"],
        ["model=transformer"],
    ],
)
def test_resumed_run_ends_like_the_unbroken_one(overrides, tmp_path, monkeypatch):
    overrides = [*overrides, "trainer.chunk_steps=8", "trainer.checkpoint_every=8"]
    whole = run(*overrides)
    import normlab.training.setup as setup

    def killed(*arguments, **options):
        if arguments[4].start >= 24:  # the first step of the chunk
            raise KeyboardInterrupt
        return train_steps(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(setup, "train_steps", killed)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            run(*overrides, run_dir=tmp_path)
    resumed = run(*overrides, f"trainer.resume={tmp_path / 'last.ckpt'}")
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["normlab"]["step"] == 24
    assert whole.curve == resumed.curve and whole.key == resumed.key
    for record in (whole, resumed):
        del record.metrics["samples_per_s"]  # which no computation decides
    assert whole.metrics == resumed.metrics


def test_a_resumed_run_trains_the_steps_that_are_left(tmp_path, monkeypatch):
    """Whatever the budget and the chunks: those of the checkpoint are no count for the new run."""
    run("trainer.chunk_steps=2", "trainer.checkpoint_every=40", run_dir=tmp_path)
    resume = f"trainer.resume={tmp_path / 'last.ckpt'}"
    for steps, chunk in ((80, 2), (80, 20), (50, 50)):
        # Start, training from 2 to 12, and the end: after set-up, the steps and the evaluations.
        clock = SimpleNamespace(perf_counter=iter((0.0, 2.0, 12.0, 15.0)).__next__)
        with monkeypatch.context() as patch:
            patch.setattr(fit_module, "time", clock)
            record = run(resume, f"trainer.max_steps={steps}", f"trainer.chunk_steps={chunk}")
        assert (record.status, record.steps, record.samples) == ("ok", steps, steps * 16)
        assert record.curve["step"][-1] == steps and record.curve["step"][:20] == [*range(2, 42, 2)]
        # Steps of the run before are none of this one's seconds.
        assert record.metrics["samples_per_s"] == round((steps - 40) * 16 / 10)
        assert record.duration_s == 15
    finished = run(resume)
    assert (finished.status, finished.steps) == ("ok", 40)
    with pytest.raises(NormLabError, match="after 40 steps, more than the 20"):
        run(resume, "trainer.max_steps=20")


def test_a_training_that_ends_early_is_no_record(monkeypatch):
    from normlab.training.task import Chunks, Task

    monkeypatch.setattr(Task, "chunks", lambda self: Chunks(5))
    with pytest.raises(RuntimeError, match="after 10 of 40 steps"):
        run()


def test_a_resumed_run_writes_no_checkpoint_before_its_time(tmp_path, monkeypatch):
    overrides = ["trainer.chunk_steps=4", "trainer.checkpoint_every=8"]
    run(*overrides, "trainer.max_steps=8", run_dir=tmp_path)
    steps = []

    class Noting(fit_module.SaveCheckpoint):
        def on_train_batch_end(self, *arguments):
            super().on_train_batch_end(*arguments)
            steps.append(self.saved)

    monkeypatch.setattr(fit_module, "SaveCheckpoint", Noting)
    resume = f"trainer.resume={tmp_path / 'last.ckpt'}"
    run(*overrides, resume, "trainer.max_steps=20", run_dir=tmp_path / "resumed")
    assert steps == [8, 16, 20]
