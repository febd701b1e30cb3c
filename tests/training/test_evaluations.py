"""Evaluations of a trained network: each against a check by hand, and none of them touches the
network."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from normlab.config.compose import compose
from normlab.data import load_data
from normlab.norms import make_norm
from normlab.training.evaluations import MODULES, evaluation, shift
from normlab.training.evaluations.batching import (
    BATCHES,
    MICRO_BATCHES,
    accumulation,
    flip_rate,
    train_mode,
)
from normlab.training.evaluations.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from normlab.training.evaluations.reevaluation import large_batches
from normlab.training.running_statistics import batch_norms, re_estimate
from normlab.training.setup import set_up
from normlab.training.step import evaluate, train_steps

X = 4 * F.avg_pool2d(
    torch.randn(12, 3, 20, 20, generator=torch.Generator().manual_seed(0)), 5, stride=1
)


def trained(*overrides):
    """A setup after a few steps on the digits."""
    cfg = compose(
        [
            "model.width=8",
            "model.depth=3",
            "data.batch_size=32",
            "data.eval_batch_size=100",
            *overrides,
        ]
    )
    setup = set_up(cfg)
    optimizer = torch.optim.SGD(setup.model.parameters(), lr=0.2)
    train_steps(setup.model, optimizer, lambda step: 0.2, setup.data.batch, range(60))
    return setup


@pytest.fixture(scope="module")
def batchnorm():
    return trained("norm=batchnorm")


@pytest.fixture(scope="module")
def groupnorm():
    return trained("norm=groupnorm", "norm.num_groups=2")


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("kind", ["batchnorm", "groupnorm"])
def test_the_network_is_as_it_was_and_the_numbers_come_again(name, kind, request):
    task = request.getfixturevalue(kind)
    before = copy.deepcopy(task.model.state_dict())
    mode, gradients = task.model.training, [p.grad for p in task.model.parameters()]
    first = evaluation(name, task)
    torch.rand(3)
    assert evaluation(name, task) == first
    assert all(torch.equal(before[key], value) for key, value in task.model.state_dict().items())
    assert task.model.training == mode and gradients == [p.grad for p in task.model.parameters()]
    assert all(isinstance(value, float) and 0 <= abs(value) < 50 for value in first.values())


def test_re_estimated_statistics_are_the_exact_ones_of_the_data():
    x = [(3 + 2 * torch.randn(50, 4, 5, 5), None) for _ in range(3)]
    layer = make_norm("batchnorm", 4, "NCHW", ghost_batch=2)
    layer.running_mean.fill_(9)
    re_estimate(layer, x)
    everything = torch.cat([values for values, _ in x])
    within = torch.stack([values.var((0, 2, 3)) for values, _ in x]).mean(0)
    torch.testing.assert_close(layer.running_mean, everything.mean((0, 2, 3)))
    torch.testing.assert_close(layer.running_var, within)
    assert not layer.training and layer.ghost_batch is None


def test_precise_statistics_are_those_of_augmented_training_batches():
    task = trained("norm=batchnorm", "data.augment=true", "data.crop_padding=2")
    model = copy.deepcopy(task.model).train()
    steps = task.data.steps_per_epoch // 16 * 16  # batches of 32 by the 16: 512 samples
    first = []
    for start in range(0, steps, 16):
        x = torch.cat([task.data.batch(step)[0] for step in range(start, start + 16)])
        first.append(model.features[0](x).detach())
    expected = torch.stack([h.mean((0, 2, 3)) for h in first]).mean(0)
    again = copy.deepcopy(task.model)
    re_estimate(again, large_batches(task.data, 500))
    torch.testing.assert_close(batch_norms(again)[0].running_mean, expected)
    accuracy = evaluate(again, task.data.eval_batches("test"))[1]
    assert evaluation("precise", task)["precise_test_accuracy"] == accuracy


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions_are_the_same_each_time_and_grow(name):
    torch.manual_seed(1)
    first = [corrupt(X, name, severity) for severity in SEVERITIES]
    torch.manual_seed(2)
    assert all(
        torch.equal(corrupt(X, name, severity), x)
        for severity, x in zip(SEVERITIES, first, strict=True)
    )
    distance = [float((x - X).norm()) for x in first]
    assert 0 < distance[0] < distance[1] < distance[2]
    low, high = X.amin((0, 2, 3), keepdim=True), X.amax((0, 2, 3), keepdim=True)
    assert all(x.shape == X.shape and (x >= low).all() and (x <= high).all() for x in first)
    assert corrupt(X, name, 0) is X


def test_corruptions_do_what_they_say():
    inside = X.clamp(-0.4, 0.4)  # with room for what is added below
    x = torch.cat([inside, torch.tensor([-9.0, 9.0])[:, None, None, None].expand(2, 3, 16, 16)])
    torch.testing.assert_close(corrupt(x, "brightness", 2)[:12], inside + 1)
    mean = inside.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(
        corrupt(x, "contrast", 1)[:12] - mean, 0.6 * (inside - mean), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        (corrupt(x, "colour", 1)[:12] - inside)[0, :, 0, 0], torch.tensor([0.3, 0.0, -0.3])
    )
    assert abs(float((corrupt(x, "noise", 3)[:12] - inside).std()) - 1.0) < 0.02
    hit = (corrupt(x, "impulses", 3)[:12] != inside).any(1).float().mean()
    assert abs(float(hit) - 0.15) < 0.02
    flat = torch.cat([torch.full((1, 3, 16, 16), 0.5), x])
    torch.testing.assert_close(corrupt(flat, "blur", 3)[0], flat[0])
    small = corrupt(x, "pixelate", 1)[:12]
    torch.testing.assert_close(small[..., ::2, ::2], F.avg_pool2d(inside, 2))
    assert torch.equal(small[..., ::2, ::2], small[..., 1::2, 1::2])


def test_corruptions_evaluation_is_the_accuracy_in_eval_mode(batchnorm):
    metrics = evaluation("corruptions", batchnorm)
    x, y = shift.whole_split(batchnorm.data, "test")
    batches = [(corrupt(x, "noise", 3), y)]
    assert metrics["noise_3_accuracy"] == pytest.approx(evaluate(batchnorm.model, batches)[1])
    means = [
        metrics[f"{name}_{severity}_accuracy"] for name in CORRUPTIONS for severity in SEVERITIES
    ]
    assert metrics["corrupted_accuracy"] == pytest.approx(sum(means) / 24)


def by_hand(model, x, y, size):
    """Accuracy when each `size` consecutive samples are normalized with their own statistics."""
    model = copy.deepcopy(model).train()
    with torch.no_grad():
        predicted = torch.cat([model(part).argmax(1) for part in x.split(size)])
    return float((predicted == y).float().mean())


def test_adaptation_uses_the_statistics_of_each_group(batchnorm, monkeypatch):
    monkeypatch.setattr(shift, "CORRUPTIONS", {"contrast": None})
    monkeypatch.setattr(shift, "SEVERITIES", (3,))
    monkeypatch.setattr(shift, "CHUNK", 98)  # several calls, none of which may divide a group
    metrics = evaluation("adaptation", batchnorm)
    x, y = shift.whole_split(batchnorm.data, "test")
    low = corrupt(x, "contrast", 3)
    for size in shift.ADAPTATION_SIZES:
        assert metrics[f"adapted_{size}_accuracy"] == pytest.approx(
            by_hand(batchnorm.model, low, y, size)
        )
    order = y.argsort(stable=True)
    assert metrics["adapted_sorted_accuracy"] == pytest.approx(
        by_hand(batchnorm.model, low[order], y[order], 256)
    )
    assert metrics["adapted_clean_accuracy"] == pytest.approx(by_hand(batchnorm.model, x, y, 256))
    # with one kind of corruption the mixed stream is that one
    assert metrics["adapted_mixed_accuracy"] == metrics["adapted_256_accuracy"]
    assert metrics["mixed_accuracy"] == pytest.approx(evaluate(batchnorm.model, [(low, y)])[1])


def test_mixed_stream_shows_every_corruption_once_in_turn(batchnorm, monkeypatch):
    seen = []

    def predictions(model, x, *size, **options):
        seen.append(x)
        return torch.zeros(len(x))

    monkeypatch.setattr(shift, "predictions", predictions)
    evaluation("adaptation", batchnorm)
    x, _ = shift.whole_split(batchnorm.data, "test")
    kinds = [(name, severity) for name in CORRUPTIONS for severity in SEVERITIES]
    for index in (0, 5, 23, 24, 100):
        assert torch.equal(seen[-1][index], corrupt(x, *kinds[index % 24])[index])


def test_norms_without_batch_statistics_have_nothing_to_adapt_and_no_mode(groupnorm):
    assert (
        evaluation("adaptation", groupnorm)
        == train_mode(groupnorm)
        == evaluation("statistics", groupnorm)
        == {}
    )
    assert evaluation("precise", groupnorm) == {}


def test_flip_rate_counts_pairs_of_compositions():
    assert flip_rate(torch.tensor([[1, 2, 3], [1, 2, 3]])) == 0
    assert flip_rate(torch.tensor([[1, 2], [1, 3]])) == pytest.approx(0.5)
    assert flip_rate(torch.tensor([[1], [1], [2]])) == pytest.approx(2 / 3)


def test_train_mode_is_what_separate_batches_give_and_eval_mode_flips_nothing(batchnorm):
    metrics = train_mode(batchnorm)
    assert all(metrics[f"eval_mode_flips_{size}"] == 0 for size in BATCHES)
    assert (
        metrics["train_mode_flips_1"] == 0
        and 0 < metrics["train_mode_flips_16"] < metrics["train_mode_flips_2"]
    )
    x, y = shift.whole_split(batchnorm.data, "test")
    order = y.argsort(stable=True)
    assert metrics["train_mode_sorted_16_accuracy"] == pytest.approx(
        by_hand(batchnorm.model, x[order], y[order], 16)
    )
    assert metrics["train_mode_accuracy_1"] == pytest.approx(by_hand(batchnorm.model, x, y, 1))
    drifted = copy.deepcopy(batchnorm.model).train()
    for layer in batch_norms(drifted):
        layer.ghost_batch = None
    with torch.no_grad():
        for image in x[:500].split(1):
            drifted(image)
    assert metrics["drifted_accuracy"] == pytest.approx(evaluate(drifted, [(x, y)])[1])


def test_accumulated_gradient_is_exact_without_batch_statistics_and_not_with_them(
    batchnorm, groupnorm
):
    without, with_statistics = accumulation(groupnorm), accumulation(batchnorm)
    for size in MICRO_BATCHES:
        assert (
            without[f"accumulation_error_{size}"] < 1e-12
            and with_statistics[f"accumulation_error_{size}"] > 0.05
        )
    error, cosine = (with_statistics[f"accumulation_{name}_2"] for name in ("error", "cosine"))
    model = copy.deepcopy(batchnorm.model).double().train()
    x, y = (values[:64] for values in shift.whole_split(batchnorm.data, "train"))
    gradients = []
    for size in (64, 2):
        losses = [
            F.cross_entropy(model(a), b)
            for a, b in zip(x.double().split(size), y.split(size), strict=True)
        ]
        rows = torch.autograd.grad(sum(losses) / len(losses), list(model.parameters()))
        gradients.append(nn.utils.parameters_to_vector(rows))
    whole, parts = gradients
    assert error == pytest.approx(float((parts - whole).norm() / whole.norm()))
    assert cosine == pytest.approx(float(torch.dot(parts, whole) / (parts.norm() * whole.norm())))


def test_unseen_styles_are_others_than_those_of_training():
    task = trained("norm=batchnorm", "data.styles=[0,1]")
    data = load_data(compose([f"data.styles={list(shift.UNSEEN_STYLES)}"]).data, 0)
    expected = evaluate(task.model, data.eval_batches("test"))[1]
    assert evaluation("styles", task) == {"unseen_styles_accuracy": pytest.approx(expected)}
    assert not {0, 1} & set(shift.UNSEEN_STYLES)
