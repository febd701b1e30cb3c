"""Passes in train mode move a copy's running statistics by the momentum, and nothing else."""

import copy

import pytest
import torch

from normlab.measure.extra_passes import accuracy_after, fresh_batch
from normlab.measure.networks import train_network
from normlab.training.step import evaluate

NET = ("data=digits", "data.batch_size=16", "data.augment=false")
SMALL = (*NET, "model.width=8", "norm=batchnorm", "optim.lr=0.1", "trainer.max_steps=150")


@pytest.fixture(scope="module")
def trained():
    return train_network(SMALL, 0)


def own_accuracy(trained):
    return evaluate(trained.model, trained.data.eval_batches("test"))[1]


def test_no_batch_and_no_weight_change_nothing(trained):
    before = copy.deepcopy(trained.model.state_dict())
    batch = fresh_batch(trained, 0)
    assert accuracy_after(trained, []) == own_accuracy(trained)
    assert accuracy_after(trained, [batch], momentum=0.0) == own_accuracy(trained)
    accuracy_after(trained, [100 * batch])
    for name, value in trained.model.state_dict().items():
        assert torch.equal(value, before[name])
    assert not trained.model.training


def test_a_batch_far_from_the_data_ruins_the_copy_in_proportion_to_its_weight(trained):
    far = [100 * fresh_batch(trained, 0)]
    accuracies = [accuracy_after(trained, far, momentum) for momentum in (0.0, 1e-4, 1.0)]
    assert accuracies[0] > accuracies[2] + 0.2
    assert accuracies[1] >= accuracies[2]
    # Without one, the layers' own: 0.1.
    assert accuracy_after(trained, far) == accuracy_after(trained, far, 0.1)


def test_fresh_batches_are_those_after_the_last_step(trained):
    assert torch.equal(fresh_batch(trained, 3), trained.data.batch(trained.steps + 3)[0])
    assert fresh_batch(trained, 0, 1).shape == (1, *fresh_batch(trained, 0).shape[1:])
