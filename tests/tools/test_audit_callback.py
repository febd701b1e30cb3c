"""The callback: each stage is audited in its own mode, with the trainer's numbers."""

import warnings
from collections import UserDict

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

import normlab
from normlab.tools.audit import Evidence
from normlab.training.lightning import L


@pytest.fixture(autouse=True)
def whatever_the_records_say(monkeypatch):
    monkeypatch.setattr(Evidence, "contradicted", lambda self: False)


class Small(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 8, 3, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * 16, 2),
        )

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, index):
        return F.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, index):
        self(batch[0])

    test_step = validation_step

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Forgetful(Small):
    """Has its batch norm in train mode at evaluation."""

    def on_test_start(self):
        self.net[1].train()


class Keeping(Small):
    """Keeps losses with their history, and has a hook on the transfer of batches."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def training_step(self, batch, index):
        self.losses.append(super().training_step(batch, index))
        return self.losses[-1]

    def on_after_batch_transfer(self, batch, loader):
        assert batch is not None
        return batch


class NotCopied(Small):
    def __init__(self):
        super().__init__()
        self.reader = (line for line in "")


class TurnedOnceMore(Small):
    """Is in train mode in the second validation."""

    def on_validation_epoch_start(self):
        self.net[1].train(self.current_epoch == 1)


class NeverTurned(Small):
    """Is in train mode all the time."""

    def on_validation_model_eval(self):
        pass

    on_test_model_eval = on_predict_model_eval = on_validation_model_eval


class OfMappings(Small):
    """Is given its batches as mappings that are no dicts, as collators of transformers make."""

    def transfer_batch_to_device(self, batch, device, loader):
        if not isinstance(batch, list):
            return batch
        return UserDict(nested=UserDict(x=batch[0]), y=batch[1])

    def training_step(self, batch, index):
        return F.cross_entropy(self(batch["nested"]["x"]), batch["y"])

    def validation_step(self, batch, index):
        self(batch["nested"]["x"])

    test_step = validation_step


class TooSmallEps(Small):
    def __init__(self):
        super().__init__()
        self.net[1] = nn.GroupNorm(2, 8, eps=0.0)


def run(model, batch_size, sample=None, epochs=1):
    data = TensorDataset(torch.randn(32, 3, 6, 6), torch.randint(2, (32,)))
    loader = DataLoader(data, batch_size=batch_size)
    callback = normlab.AuditCallback(sample)
    trainer = L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[callback],
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.fit(model, loader, loader)
        trainer.test(model, loader, verbose=False)
        trainer.predict(model, DataLoader(data.tensors[0], batch_size=batch_size))
    assert trainer.state.finished
    said = [str(warning.message) for warning in caught if "normlab audit" in str(warning.message)]
    return {
        stage: [finding.name for finding in found] for stage, found in callback.audits.items()
    }, said


def test_findings_of_each_stage_are_warned_of_once():
    found, said = run(Small(), 4)
    assert found == {
        "training": ["tiny-batch"],
        "validation": ["foldable"],
        "test": ["foldable"],
        "predict": ["foldable"],
    }
    assert [text.split("\n")[0] for text in said] == [
        "normlab audit, training: tiny-batch: net.1: in training, 4 samples share statistics",
        "normlab audit, test: foldable: net.1: their statistics are fixed, and a layer beside each "
        "can take over scale and shift: normlab.fold(model)",
    ]


def test_a_batch_norm_left_in_train_mode_is_seen_at_evaluation():
    found, said = run(Forgetful(), 32)
    assert found["training"] == [] and found["test"] == ["train-mode-at-evaluation"]
    assert sum("train-mode-at-evaluation" in text for text in said) == 1


def test_a_sample_batch_is_compared_with_the_running_statistics():
    assert "running-statistics-far" in run(Small(), 2, 9 + torch.randn(16, 3, 6, 6))[0]["test"]


def test_what_the_model_keeps_and_its_hooks_are_no_hindrance():
    found, said = run(Keeping(), 32)
    assert found == {
        "training": [],
        "validation": ["foldable"],
        "test": ["foldable"],
        "predict": ["foldable"],
    }
    assert len(said) == 1


def test_an_audit_that_fails_is_a_warning():
    found, said = run(NotCopied(), 4, epochs=2)
    assert found == {}
    assert [text.split(": ")[:2] for text in said] == [
        [f"normlab audit, {stage}", "not made"]
        for stage in ("training", "validation", "test", "predict")
    ]
    assert "the model cannot be copied" in said[0]
    assert "cannot be called with sample_batch" in run(Small(), 4, torch.ones(2, 5))[1][0]


def test_every_validation_is_audited():
    assert run(TurnedOnceMore(), 32, epochs=2)[0]["validation"] == ["train-mode-at-evaluation"]
    assert run(TurnedOnceMore(), 32, epochs=3)[0]["validation"] == ["foldable"]


def test_a_model_left_in_train_mode_is_seen_at_every_evaluation():
    found, said = run(NeverTurned(), 2, torch.randn(2, 3, 6, 6))
    assert found.pop("training") == ["tiny-batch"]
    assert set(found) == {"validation", "test", "predict"}
    assert all(stage == ["train-mode-at-evaluation"] for stage in found.values())
    assert len(said) == 2 and "model.training is True at an evaluation" in said[1]


def test_the_batch_may_be_any_mapping():
    assert run(OfMappings(), 4)[0]["training"] == ["tiny-batch"]


def test_gradients_are_looked_at_in_inference_mode_too():
    """Which is Lightning's mode at evaluations."""
    found = run(TooSmallEps(), 4)[0]
    assert found["training"] == found["validation"] == found["test"] == ["eps-too-small"]


class Checkpointing(Small):
    def forward(self, x):
        return checkpoint(self.net, x, use_reentrant=False)


class Refreezing(Small):
    """Freezes its batch norm for the first epoch, and calls train() in the second."""

    def __init__(self, thaws=False):
        super().__init__()
        self.thaws = thaws

    def on_fit_start(self):
        self.net[1].eval().requires_grad_(False)

    def on_train_epoch_start(self):
        if self.current_epoch == 1:
            self.net.train()
            self.net[1].requires_grad_(self.thaws)


def test_statistics_that_the_backward_pass_moves_again():
    found, said = run(Checkpointing(), 32)
    assert found["training"] == ["statistics-counted-twice"]
    assert "training: statistics-counted-twice: net.1: running statistics move" in said[0]
    assert "statistics-counted-twice" not in run(Small(), 32)[0]["training"]
    with_sample = run(Checkpointing(), 32, torch.randn(4, 3, 6, 6))
    assert with_sample[0]["training"] == ["statistics-counted-twice"]
    assert sum("counted-twice" in text for text in with_sample[1]) == 1


def test_eval_mode_that_train_undoes():
    found, said = run(Refreezing(), 32, epochs=3)
    assert found["training"] == ["running-statistics-never-moved", "eval-undone"]
    assert sum("undoes their eval()" in text for text in said) == 1
    assert "eval-undone" not in run(Refreezing(thaws=True), 32, epochs=3)[0]["training"]


def test_the_trainer_says_what_the_last_batch_and_weight_decay_are():
    class Decayed(Small):
        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=0.1)

    assert run(Decayed(), 31)[0]["training"] == ["last-batch-of-one", "decayed-gains"]
    assert run(Decayed(), 32)[0]["test"] == ["foldable"]
