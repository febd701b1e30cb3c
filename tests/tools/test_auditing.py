"""audit: every failure mode is found where it is, with its numbers, and nowhere else."""

import copy
from functools import partial

import pytest
import torch
from audited_networks import Language, images, names, network, tokens, trained
from torch import nn

import normlab
import normlab.models.torchvision_operators
from normlab.config.compose import compose
from normlab.models import build_model
from normlab.norms import make_norm
from normlab.tools.audit import Evidence
from normlab.tools.zoo import build_named, sample_inputs

# isort: split
from torchvision.ops import FrozenBatchNorm2d


@pytest.fixture(autouse=True)
def whatever_the_records_say(monkeypatch):
    monkeypatch.setattr(Evidence, "contradicted", lambda self: False)


@pytest.mark.parametrize(
    "model, sample",
    [
        (network(), images()),
        (network(partial(nn.GroupNorm, 4)), images(1)),
        (network(FrozenBatchNorm2d).train(), None),
        (build_named("torchvision:resnet18"), images()),
        (
            build_named("transformers:gpt2"),
            sample_inputs("transformers:gpt2", build_named("transformers:gpt2")),
        ),
        (build_named("transformers:gemma2").eval(), None),
        (nn.TransformerEncoderLayer(8, 2, 8), torch.randn(4, 6, 8)),
        (nn.Sequential(nn.Conv1d(2, 8, 3), nn.GroupNorm(4, 8)), torch.randn(2, 2, 99)),
        (nn.Linear(3, 3), torch.randn(2, 3)),
    ],
)
def test_clean_models_have_no_findings(model, sample):
    if isinstance(model[1] if isinstance(model, nn.Sequential) else None, FrozenBatchNorm2d):
        for layer in (model[1], model[4]):
            layer.running_mean.fill_(0.1)
    assert names(model, sample, batch_per_device=64) == []


def test_nothing_of_the_model_changes():
    model = trained()
    handle = model[1].register_forward_hook(lambda *_: pytest.fail("the model was called"))
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    normlab.audit(model, images(4, scale=9), world_size=2)
    assert torch.equal(torch.get_rng_state(), state) and model.training
    assert all(
        torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True)
    )
    handle.remove()


@pytest.mark.parametrize("samples, part", [(1, None), (2, "two"), (8, "knee"), (9, "")])
def test_live_batch_norm_at_a_tiny_batch(samples, part):
    found = normlab.audit(network(), batch_per_device=samples).findings
    if part == "":
        assert not found
        return
    (tiny,) = [f for f in found if f.name == "tiny-batch"]
    assert tiny.layers == ("1", "4") and str(samples) in tiny.reason
    slug = "bn-batch1-fails" if samples == 1 else "bn-batch-below-16"
    assert (tiny.evidence[0].slug, tiny.evidence[0].part) == (slug, part or "evaluation")
    assert "tiny-batch" in names(network(), images(samples))
    assert "tiny-batch" not in names(network().eval(), batch_per_device=samples)


def test_samples_that_share_statistics_are_counted_as_the_layer_does():
    ghost = network(lambda c: make_norm("batchnorm", c, "NCHW", ghost_batch=4))
    assert "4 samples share" in next(iter(normlab.audit(ghost, batch_per_device=64))).reason
    synchronized = network(nn.SyncBatchNorm)
    assert names(synchronized, batch_per_device=4, world_size=4) == []
    assert names(synchronized, batch_per_device=4, world_size=2) == ["tiny-batch"]


def test_momentum_that_follows_each_batch():
    found = normlab.audit(
        network(partial(nn.BatchNorm2d, momentum=0.5)), batch_per_device=4
    ).findings
    assert [f.layers for f in found if f.name == "momentum"] == [("1",), ("4",)]
    assert "x 4 = 12 samples" in next(f for f in found if f.name == "momentum").reason
    for momentum, samples in ((0.1, 2), (None, 2), (0.5, 5)):
        assert "momentum" not in names(
            network(partial(nn.BatchNorm2d, momentum=momentum)), batch_per_device=samples
        )
    assert "momentum" in names(network(partial(nn.BatchNorm2d, momentum=0.99)), batch_per_device=8)


def test_local_statistics_in_data_parallel():
    (found,) = normlab.audit(network(), world_size=4, batch_per_device=16)
    assert found.name == "local-statistics" and "16 of 64 samples" in found.reason
    assert names(network(nn.SyncBatchNorm), world_size=4, batch_per_device=16) == []
    assert names(network(partial(nn.GroupNorm, 4)), world_size=4, batch_per_device=16) == []


def test_train_mode_at_evaluation():
    model = trained().eval()
    model[4].train()
    found = normlab.audit(model).findings[0]
    assert found.name == "train-mode-at-evaluation" and found.layers == ("4",)
    without = network(partial(nn.BatchNorm2d, track_running_stats=False))
    assert names(without.train(), batch_per_device=64) == []
    assert names(without.eval()) == ["train-mode-at-evaluation"]
    assert "train-mode-at-evaluation" in names(
        network(lambda c: make_norm("batchnorm", c, statistics="batch")).eval()
    )
    assert "train-mode-at-evaluation" not in names(trained().eval())


def test_frozen_weights_with_moving_statistics():
    model = network()
    model[1].requires_grad_(False)
    (found,) = normlab.audit(model)
    assert found.name == "frozen-with-moving-statistics" and found.layers == ("1",)
    model[1].eval()
    assert names(model) == ["running-statistics-never-moved"]


def test_running_statistics_that_never_moved():
    assert names(network().eval())[0] == "running-statistics-never-moved"
    assert "running-statistics-never-moved" not in names(trained().eval())
    (found,) = normlab.audit(network(partial(nn.BatchNorm2d, momentum=0.0)))
    assert found.name == "running-statistics-never-moved" and "momentum is 0" in found.reason


def test_running_statistics_far_from_the_batch():
    model = trained().eval()
    assert "running-statistics-far" not in names(model, images(64))
    assert "running-statistics-far" not in names(model, images(4))
    found = [
        f for f in normlab.audit(model, images(64, scale=3)) if f.name == "running-statistics-far"
    ]
    assert [f.layers for f in found] == [("1",), ("4",)]
    assert (
        abs(float(found[0].reason.split(" are ")[1].split()[0]) - 2) < 0.2
    )  # the deviation is 3 times the running one
    assert names(model.train(), images(64, scale=3)) == []


def test_convolution_bias_before_batch_norm():
    (found,) = normlab.audit(network(bias=True), batch_per_device=64)
    assert found.name == "bias-before-batch-norm" and found.layers == ("0",)
    assert "bias-before-batch-norm" not in names(network(partial(nn.GroupNorm, 4), bias=True))

    class UsedTwice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x):
            y = self.conv(x)
            return self.norm(y) + y

    assert names(UsedTwice()) == []


@pytest.mark.parametrize(
    "kind, leaks",
    [
        ("batchnorm", True),
        ("instancenorm", True),
        ("groupnorm", True),
        ("causal_batchnorm", False),
        ("layernorm", False),
    ],
)
def test_norms_over_positions_in_a_causal_model(kind, leaks):
    torch.manual_seed(0)
    model = Language(make_norm(kind, 8, "NTC"))
    found = [f for f in normlab.audit(model, tokens()) if f.name == "leak"]
    assert bool(found) is leaks
    if leaks:
        assert found[0].layers == ("norm",) and found[0].evidence[0].slug == "bn-causal-leak"


def test_a_model_that_reads_all_positions_anyway_has_no_leak():
    class Masked(Language):
        def forward(self, ids):
            return self.head(self.norm(self.tokens(ids) + self.tokens(ids).mean(1, keepdim=True)))

    assert names(Masked(make_norm("batchnorm", 8, "NTC")), tokens()) == []


def test_a_model_that_says_that_it_is_causal_needs_no_batch():
    model = build_named("transformers:gpt2")
    assert names(model) == []
    normlab.convert(model, "batchnorm")
    assert names(model) == ["leak"]
    assert "leak" in names(model, sample_inputs("transformers:gpt2", model), batch_per_device=64)
    cfg = compose(["model=transformer", "norm=batchnorm", "allow_noncausal=true", "data=pydoc"])
    assert names(build_model(cfg, "text", (16,), 9)) == ["leak"]


def test_groups_of_a_single_value():
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.AdaptiveAvgPool2d(1), nn.GroupNorm(8, 8))
    (found,) = normlab.audit(model, images())
    assert (
        found.name == "single-value-groups" and "8 x 1 x 1 per sample, in 8 groups" in found.reason
    )
    assert float(model(images()).detach().abs().max()) < 1e-4  # which is what is wrong with it
    model[2] = nn.GroupNorm(4, 8)
    assert names(model, images()) == []


@pytest.mark.parametrize("norm", [nn.LayerNorm, nn.RMSNorm, nn.BatchNorm1d])
@pytest.mark.parametrize(
    "eps, dtype, found",
    [
        (1e-12, torch.float16, True),
        (1e-5, torch.float16, False),
        (1e-12, torch.bfloat16, False),
        (0.0, torch.float32, True),
    ],
)
def test_eps_too_small_for_the_dtype(norm, eps, dtype, found):
    model = nn.Sequential(norm(8, eps=eps)).to(dtype)
    if norm is nn.BatchNorm1d and eps == 0:
        found = False  # torch's kernel looks out for it
    assert ("eps-too-small" in names(model, batch_per_device=64)) is found


def test_dead_gain():
    model = network()
    assert names(model) == []
    with torch.no_grad():
        model[4].weight[:3] = 0
    (found,) = normlab.audit(model)
    assert (
        found.name == "dead-gain" and found.layers == ("4",) and "3 of 8 channels" in found.reason
    )
    with torch.no_grad():  # as transformers' EfficientNet draws its gains
        model[4].weight.copy_(torch.tensor([1e-6, -0.2, 0.1, -0.1, 0.2, 0.3, -0.1, 0.1]))
    assert names(model) == []
    with torch.no_grad():
        model[4].weight[0] = 0
    assert names(model) == ["dead-gain"]


def test_a_branch_that_starts_at_nothing_is_not_dead():
    """Neither after a warm-up, which moves statistics and no gain; a step moves the shift too."""
    model = network()
    nn.init.zeros_(model[4].weight)
    model(images())
    assert names(model) == [] and "dead-gain" not in names(model.eval())
    nn.init.normal_(model[4].bias)
    (found,) = normlab.audit(model.train())
    assert found.name == "dead-gain" and "all 8 gains are 0 in a layer" in found.reason
    model[4].requires_grad_(False)
    nn.init.zeros_(model[4].bias)
    assert "requires_grad is False: they stay so" in str(normlab.audit(model.train()))


def test_batch_norms_that_could_be_folded():
    (found,) = normlab.audit(trained().eval())
    assert found.name == "foldable" and found.layers == ("1", "4")
    assert names(normlab.fold(trained().eval()).model) == []
