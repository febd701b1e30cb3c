"""The Lightning callback: each stage is audited once, in its own mode, with the trainer's numbers."""

import warnings

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import normlab
from normlab.compat import lightning as L


class Small(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 2)
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


def run(model, batch_size, sample=None):
    data = TensorDataset(torch.randn(32, 3, 6, 6), torch.randint(2, (32,)))
    loader = DataLoader(data, batch_size=batch_size)
    callback = normlab.AuditCallback(sample)
    trainer = L.Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
                        enable_progress_bar=False, enable_model_summary=False, callbacks=[callback])  # fmt: skip
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.fit(model, loader, loader)
        trainer.test(model, loader, verbose=False)
    said = [str(warning.message) for warning in caught if "normlab audit" in str(warning.message)]
    return {stage: [finding.name for finding in found] for stage, found in callback.audits.items()}, said


def test_findings_of_each_stage_are_warned_of_once():
    found, said = run(Small(), 4)
    assert found == {"training": ["tiny-batch"], "validation": ["foldable"], "test": ["foldable"]}
    assert [text.split("\n")[0] for text in said] == [
        "normlab audit, training: tiny-batch: net.1: in training, 4 samples share statistics",
        "normlab audit, test: foldable: net.1: their statistics are fixed, and a layer beside each can take over scale "
        "and shift: normlab.fold(model)",
    ]


def test_a_batch_norm_left_in_train_mode_is_seen_at_evaluation():
    found, said = run(Forgetful(), 32)
    assert found["training"] == [] and found["test"] == ["train-mode-at-evaluation"]
    assert len(said) == 1


def test_a_sample_batch_is_compared_with_the_running_statistics():
    assert "running-statistics-far" in run(Small(), 2, 9 + torch.randn(16, 3, 6, 6))[0]["test"]
