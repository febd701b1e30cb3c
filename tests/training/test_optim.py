"""Learning rates and what is refused."""

import pytest
import torch

from normlab.config.compose import compose, compose_node, plain, to_dict
from normlab.config.schema import DecayNorm
from normlab.errors import NormLabError
from normlab.models import build_model
from normlab.records.record import trial_key
from normlab.training.optim import build_optimizer, decayed_norm_parameters, learning_rate


def rates(*overrides, steps=100):
    rate = learning_rate(compose(["optim.lr=1.0", *overrides]).optim, steps)
    return [rate(step) for step in range(steps)]


def test_warmup_then_cosine_to_zero():
    values = rates("optim.warmup=0.1")
    assert (
        values[0] == pytest.approx(0.1)
        and values[9] == pytest.approx(1.0)
        and max(values) == pytest.approx(1.0)
    )
    assert values[10:] == sorted(values[10:], reverse=True)
    assert values[55] == pytest.approx(0.5, abs=0.01) and values[-1] < 1e-3


def test_linear_and_constant():
    assert rates("optim.warmup=0", "optim.decay=linear")[50] == pytest.approx(0.5)
    assert set(rates("optim.warmup=0", "optim.decay=constant")) == {1.0}


@pytest.mark.parametrize("override", ["optim.warmup=1.5", "optim.warmup=-0.1"])
def test_warmup_outside_its_range_is_refused(override):
    with pytest.raises(NormLabError, match="from 0 to 1"):
        rates(override)


@pytest.mark.parametrize("override", ["optim.lr=0", "optim.lr=-1", "optim.weight_decay=-0.1"])
def test_negative_rates_are_refused(override):
    with pytest.raises(NormLabError, match=override.split("=")[0]):
        build_optimizer(compose([override]).optim, torch.nn.Linear(2, 2))


SMALL = ["model.depth=2", "model.width=16", "norm=layernorm"]


def model_of(name, *overrides):
    cfg = compose([f"model={name}", *SMALL, *overrides])
    shape, modality = ((5,), "text") if name in ("transformer", "rnn") else ((3, 8, 8), "image")
    return cfg.optim, build_model(cfg, modality, shape, 11)


def draw_gradients(model, step):
    torch.manual_seed(step)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)


def train(cfg, model, steps):
    optimizer = build_optimizer(cfg, model)
    for step in range(steps):
        draw_gradients(model, step)
        optimizer.step()
    return optimizer


def by_formula(weight, grads, cfg):
    """Muon in float64; X X' X has the singular vectors of X and the cubes of its values."""
    momentum = torch.zeros_like(weight)
    for grad in grads:
        momentum = cfg.momentum * momentum + grad
        u, s, v = torch.linalg.svd(cfg.momentum * momentum + grad, full_matrices=False)
        s = s / s.norm()
        for _ in range(5):
            s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
        step = 0.2 * max(weight.shape) ** 0.5 * (u * s) @ v
        weight = (1 - cfg.lr * cfg.weight_decay) * weight - cfg.lr * step
    return weight


def test_muon_is_its_formula():
    cfg = compose(["model=transformer", "optim=muon", "optim.lr=0.02"]).optim
    model = torch.nn.Sequential(torch.nn.Linear(8, 12, bias=False), torch.nn.LayerNorm(12))
    weight = model[0].weight
    before, grads = weight.detach().double(), []
    optimizer = build_optimizer(cfg, model)
    for step in range(3):
        draw_gradients(model, step)
        grads.append(weight.grad.double())
        optimizer.step()
    expected = by_formula(before, grads, cfg)
    assert (weight - expected).norm() < 0.02 * (weight - before).norm()  # bfloat16


def test_muon_takes_hidden_matrices_and_adamw_the_rest():
    cfg, model = model_of("transformer", "optim=muon", "model.tied=false")
    optimizer = build_optimizer(cfg, model)
    hidden = {id(one) for one in optimizer._muon.param_groups[0]["params"]}
    names = {name for name, one in model.named_parameters() if id(one) in hidden}
    branches = {name for name, one in model.blocks.named_parameters() if one.ndim == 2}
    assert names == {f"blocks.{name}" for name in branches}
    rest = {id(one) for group in optimizer._adamw.param_groups for one in group["params"]}
    assert rest == {id(one) for one in model.parameters()} - hidden
    # A rate that is set holds for both.
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = [one.detach().clone() for one in model.parameters()]
    draw_gradients(model, 0)
    optimizer.step()
    assert all(map(torch.equal, before, model.parameters()))


def test_muon_goes_on_from_a_checkpoint():
    cfg, whole = model_of("transformer", "optim=muon")
    _, parts = model_of("transformer", "optim=muon")
    train(cfg, whole, 3)
    first = train(cfg, parts, 2)
    second = build_optimizer(cfg, parts)
    second.load_state_dict(first.state_dict())
    draw_gradients(parts, 2)
    second.step()
    assert all(map(torch.equal, whole.parameters(), parts.parameters()))


def test_muon_without_hidden_matrices_is_refused():
    with pytest.raises(NormLabError, match="choose model=transformer, rnn or mlp"):
        build_optimizer(*model_of("plaincnn", "optim=muon"))
    for name in ("mlp", "rnn"):
        build_optimizer(*model_of(name, "optim=muon"))


def names_decayed(model, where):
    chosen = {id(one) for one in decayed_norm_parameters(model, DecayNorm[where])}
    return {name for name, one in model.named_parameters() if id(one) in chosen}


def test_norms_are_decayed_by_where_they_stand():
    _, model = model_of(
        "transformer", "model.placement=sandwich", "model.qk_norm=true", "model.num_heads=2"
    )
    norms = {name for name, one in model.named_parameters() if one.ndim == 1}
    at_input, at_output = names_decayed(model, "input"), names_decayed(model, "output")
    assert at_input | at_output == names_decayed(model, "all") == norms
    assert not at_input & at_output and names_decayed(model, "none") == set()
    assert {name.split(".")[-2] for name in at_input} == {"before", "norm"}
    assert {name.split(".")[-2] for name in at_output} == {"after", "norm_q", "norm_k"}
    _, post = model_of("transformer", "model.placement=post")
    assert names_decayed(post, "output") == names_decayed(post, "all")
    with pytest.raises(NormLabError, match="decay_norm=input: no norm"):
        decayed_norm_parameters(post, DecayNorm.input)
    _, cnn = model_of("plaincnn", "reparam=weightnorm")
    assert not any("parametrizations" in name for name in names_decayed(cnn, "all"))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
def test_decay_falls_on_the_norms_that_were_chosen_alone(optimizer):
    states = []
    for where in ("none", "input"):
        overrides = [f"optim={optimizer}", f"optim.decay_norm={where}", "optim.weight_decay=0.5"]
        cfg, model = model_of("transformer", *overrides)
        train(cfg, model, 3)
        states.append(dict(model.named_parameters()))
    changed = {name for name, one in states[0].items() if not torch.equal(one, states[1][name])}
    assert changed == names_decayed(model, "input")


def test_the_default_has_the_key_of_before():
    before = to_dict(compose())
    assert before["optim"].pop("decay_norm") == "none"
    assert trial_key(to_dict(compose())) == trial_key(before) == trial_key(plain(compose_node()))
    assert trial_key(to_dict(compose(["optim.decay_norm=none"]))) == trial_key(before)
    assert trial_key(to_dict(compose(["optim.decay_norm=all"]))) != trial_key(before)
