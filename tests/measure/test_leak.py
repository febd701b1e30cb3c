"""Uniform tokens are uniform and always new; BatchNorm over one sample beats their entropy,
LayerNorm cannot."""

from math import log

import pytest
import torch

from normlab.measure.leak import LENGTH, VOCABULARY, UniformTokens, losses

SMALL = (
    "model=transformer",
    "model.depth=1",
    "model.width=16",
    "model.num_heads=2",
    "optim.lr=0.01",
)
TEXT = ("data=pydoc", "data.subset=5000", "data.eval_subset=2000", "data.context=8")


def test_uniform_tokens():
    data = UniformTokens(64, seed=0)
    x, y = data.batch(0)
    assert x.shape == y.shape == (64, LENGTH)
    assert torch.equal(x[:, 1:], y[:, :-1])
    assert not torch.equal(data.batch(0)[0], x)
    tokens = torch.cat([x.flatten() for x, _ in data.eval_batches("val")])
    assert len(tokens) == 2048 * LENGTH
    shares = torch.bincount(tokens, minlength=VOCABULARY) / len(tokens)
    assert len(shares) == VOCABULARY and (shares - 1 / VOCABULARY).abs().max() < 0.01


def test_what_batchnorm_over_one_sample_shows():
    steps = (*SMALL, "trainer.max_steps=100")
    leaking = losses((*steps, "norm=batchnorm", "norm.ghost_batch=1"), 0, uniform=True).metrics
    assert leaking["train_mode_loss"] < log(VOCABULARY) - 0.05
    assert leaking["eval_mode_loss"] > log(VOCABULARY) + 0.05
    honest = losses((*steps, "norm=layernorm"), 0, uniform=True).metrics
    assert (
        honest["train_mode_loss"]
        == pytest.approx(honest["eval_mode_loss"])
        == pytest.approx(log(8), abs=0.03)
    )


@pytest.mark.parametrize("kind", ["batchnorm", "causal_batchnorm", "layernorm"])
def test_losses_on_text(kind):
    found = losses(
        (*SMALL, *TEXT, "data.batch_size=16", "trainer.max_steps=5", f"norm={kind}"),
        0,
        uniform=False,
    )
    train_mode = found.metrics["train_mode_loss"]
    same = train_mode == pytest.approx(found.metrics["eval_mode_loss"], abs=1e-4)
    assert same is (kind == "layernorm")
    assert found.data["fingerprint"]
