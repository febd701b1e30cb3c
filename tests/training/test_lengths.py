"""Twice the context: the losses of the positions within and beyond it."""

import pytest
import torch
import torch.nn.functional as F

from normlab.config.compose import compose
from normlab.training.evaluations import evaluation
from normlab.training.setup import set_up
from normlab.training.step import evaluate

SMALL = ["data=pydoc", "data.subset=5000", "data.eval_subset=1001", "data.eval_batch_size=7"]


def untrained(model, context, *overrides):
    return set_up(compose([f"model={model}", *SMALL, f"data.context={context}", *overrides]))


def test_the_halves_of_windows_twice_as_long():
    trained = untrained("rnn", 10, "model.width=8", "norm=batchnorm", "model.per_step=true")
    trained.model(trained.data.batch(0)[0])
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    metrics = evaluation("twice_context", trained)
    assert all(
        torch.equal(before[name], value) for name, value in trained.model.state_dict().items()
    )
    assert trained.model.training
    longer = untrained("rnn", 20, "model.width=8").data
    x, y = (torch.cat(part) for part in zip(*longer.eval_batches("test"), strict=True))
    assert x.shape == (50, 20)
    with torch.no_grad():
        logits = trained.model.eval()(x)
    for name, part in (("within", slice(0, 10)), ("beyond", slice(10, 20))):
        loss = F.cross_entropy(logits[:, part].flatten(0, 1), y[:, part].flatten())
        assert metrics[f"{name}_test_loss"] == pytest.approx(float(loss), rel=1e-5)
    both = (metrics["within_test_loss"] + metrics["beyond_test_loss"]) / 2
    assert both == pytest.approx(evaluate(trained.model, longer.eval_batches("test"))[0], rel=1e-5)
    assert metrics["within_test_loss"] != metrics["beyond_test_loss"]


def test_nothing_for_a_model_of_a_fixed_context():
    setup = untrained("transformer", 10, "model.width=8", "model.num_heads=2")
    assert evaluation("twice_context", setup) == {}
