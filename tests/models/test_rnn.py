"""The LSTM: against torch's, against its formula written out in float64, per time step, causal,
of any length."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from normlab.config.compose import compose
from normlab.data import load_data
from normlab.errors import NormLabError
from normlab.models import build_model
from normlab.models.rnn import RNN
from normlab.norms import KINDS, make_norm
from normlab.norms.formulas import reference
from normlab.training.optim import build_optimizer, learning_rate, parameters_by_role
from normlab.training.step import train_steps

N, T, C, V = 6, 5, 8, 7
IDS = torch.randint(V, (N, T), generator=torch.Generator().manual_seed(0))
ROWS = [kind for kind, spec in KINDS.items() if "NC" in spec.layouts]


def rnn(kind="layernorm", seed=0, norm=None, **options):
    generator = torch.Generator().manual_seed(seed)
    options = {"depth": 1, "width": C, **options}
    return RNN((T,), V, partial(make_norm, kind, **(norm or {})), generator, **options)


def stirred(model):
    """In float64, no parameter or statistic at its start."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in model.double().state_dict(keep_vars=True).items():
            if isinstance(tensor, nn.Parameter) or "running" in name:
                tensor.add_(
                    0.3 * torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
                )
    return model


def oracle(model, ids, kind, training=True):
    """Logits from the formula: the cell's lines written out, the norms by norms/reference.py, no
    view of the model's.

    Replaces the running statistics in `state` of each norm, which is returned.
    """
    state = {
        name: tensor.clone() if "running" in name else tensor
        for name, tensor in model.named_buffers()
    }
    p = dict(model.named_parameters(remove_duplicate=False))

    def normalize(name, step, rows):
        steps = sum(key.startswith(f"{name}.") and key.endswith(".running_mean") for key in state)
        prefix = f"{name}.{min(step, max(steps, 1) - 1)}."
        if not any(key.startswith(f"{name}.") for key in [*p, *state]):
            return rows
        own = {key: (p | state).get(prefix + key) for key in ("weight", "bias")}
        own = {key: value for key, value in own.items() if value is not None}
        running = {
            key: state.get(prefix + key)
            for key in ("running_mean", "running_var", "num_batches_tracked")
        }
        y = reference(
            kind, rows, "NC", own, **({"training": training, "running": running} if steps else {})
        )
        if steps:
            state.update({prefix + key: value for key, value in running.items()})
        return y

    x = [p["tokens.weight"][ids[:, t]] for t in range(ids.shape[1])]
    for layer in range(len(model.layers)):
        own = f"layers.{layer}"
        h = c = torch.zeros(len(ids), C, dtype=torch.float64)
        outputs = []
        for t, xt in enumerate(x):
            a = normalize(f"{own}.norm_h", t, h @ p[f"{own}.recurrent.weight"].T)
            a = (
                a
                + normalize(f"{own}.norm_x", t, xt @ p[f"{own}.input.weight"].T)
                + p[f"{own}.input.bias"]
            )
            i, f, g, o = a[:, :C], a[:, C : 2 * C], a[:, 2 * C : 3 * C], a[:, 3 * C :]
            c = c / (1 + torch.exp(-f)) + torch.tanh(g) / (1 + torch.exp(-i))
            h = torch.tanh(normalize(f"{own}.norm_c", t, c)) / (1 + torch.exp(-o))
            outputs.append(h)
        x = outputs
    return torch.stack(x, dim=1) @ p["head.weight"].T + p["head.bias"], state


CASES = [
    ("none", {}),
    ("layernorm", {}),
    ("layernorm", {"depth": 2, "norm_gain": 0.1}),
    ("groupnorm", {}),
    ("batchnorm", {}),
    ("batchnorm", {"per_step": True}),
    ("batchnorm", {"per_step": True, "norm_gain": 0.1, "depth": 2}),
    ("batchnorm", {"norm_at": "input"}),
    ("batchnorm", {"norm_at": "input", "per_step": True}),
    ("layernorm", {"norm_at": "input"}),
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("kind", "options"), CASES)
def test_matches_the_formula(kind, options, training):
    sizes = {"norm": {"num_groups": 2}} if kind == "groupnorm" else {}
    model = stirred(rnn(kind, **options, **sizes)).train(training)
    written = copy.deepcopy(model)
    weights = torch.randn(N, T, V, generator=torch.Generator().manual_seed(2)).double()
    if kind == "groupnorm":
        wanted, state = with_groups(written, training)
    else:
        wanted, state = oracle(written, IDS, kind, training)
    logits = model(IDS)
    torch.testing.assert_close(logits, wanted, rtol=1e-10, atol=1e-10)
    (logits * weights).sum().backward()
    (wanted * weights).sum().backward()
    theirs = dict(written.named_parameters())
    assert len(theirs) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(
            parameter.grad, theirs[name].grad, rtol=1e-8, atol=1e-10, msg=name
        )
    for name, buffer in model.named_buffers():
        torch.testing.assert_close(buffer.double(), state[name].double(), msg=name)


def with_groups(model, training):
    """The oracle with the option that the small width asks for."""
    from unittest import mock

    with mock.patch(f"{__name__}.reference", partial(reference, num_groups=2)):
        return oracle(model, IDS, "groupnorm", training)


def test_without_a_norm_it_is_the_lstm_of_torch():
    model = rnn("none", depth=2).double()
    theirs = nn.LSTM(C, C, num_layers=2, batch_first=True).double()
    with torch.no_grad():
        for number, layer in enumerate(model.layers):
            getattr(theirs, f"weight_ih_l{number}").copy_(layer.input.weight)
            getattr(theirs, f"weight_hh_l{number}").copy_(layer.recurrent.weight)
            getattr(theirs, f"bias_ih_l{number}").copy_(layer.input.bias)
            getattr(theirs, f"bias_hh_l{number}").zero_()
    wanted = model.head(theirs(model.tokens(IDS))[0])
    torch.testing.assert_close(model(IDS), wanted, rtol=1e-12, atol=1e-12)


def test_each_time_step_keeps_statistics_of_its_own():
    model = rnn("batchnorm", per_step=True, norm={"momentum": 1.0}).double()
    model(IDS)
    layer = model.layers[0]
    wx = layer.project(model.tokens(IDS))
    assert len(layer.norm_x) == len(layer.norm_h) == len(layer.norm_c) == T
    for t in range(T):
        torch.testing.assert_close(layer.norm_x[t].running_mean, wx[:, t].mean(0))
        torch.testing.assert_close(layer.norm_x[t].running_var, wx[:, t].var(0))
    assert not layer.norm_h[0].running_var.any()  # h starts at zero
    assert all(layer.norm_h[t].running_var.all() for t in range(1, T))
    assert not torch.equal(layer.norm_c[1].running_var, layer.norm_c[2].running_var)
    shared = rnn("batchnorm", norm={"momentum": 1.0}).double()
    shared(IDS)
    assert int(shared.layers[0].norm_x[0].num_batches_tracked) == T
    torch.testing.assert_close(shared.layers[0].norm_x[0].running_mean, wx[:, -1].mean(0))


@pytest.mark.parametrize("kind", ["batchnorm", "layernorm", "dyt"])
def test_gain_and_bias_are_shared_between_time_steps(kind):
    stepwise, shared = rnn(kind, per_step=True), rnn(kind)
    assert [p.shape for p in stepwise.parameters()] == [p.shape for p in shared.parameters()]
    for model in (copy.deepcopy(stepwise), stepwise.to(torch.float64)):
        norms = model.layers[0].norm_c
        assert all(norm.weight is norms[0].weight and norm.bias is norms[0].bias for norm in norms)
    restored = rnn(kind, seed=1, per_step=True).double()
    restored.load_state_dict(stirred(stepwise).state_dict())
    assert torch.equal(restored.eval()(IDS), stepwise.eval()(IDS))


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize(
    ("kind", "target"), [("layernorm", "LayerNorm"), ("batchnorm", "BatchNorm1d")]
)
def test_a_custom_norm_is_the_kind_that_it_is(kind, target, per_step):
    """Gain, no shift beside another, and one parameter for all time steps, in the layer inside."""
    options = {"per_step": per_step, "norm_gain": 0.1}
    ours = rnn(kind, **options)
    custom = rnn("custom", norm={"target": f"torch.nn.{target}"}, **options)
    assert [p.shape for p in custom.parameters()] == [p.shape for p in ours.parameters()]
    torch.testing.assert_close(stirred(custom)(IDS), stirred(ours)(IDS))
    with pytest.raises(NormLabError, match="a gain, which this one lacks"):
        plain = {"target": "torch.nn.LayerNorm", "options": {"elementwise_affine": False}}
        rnn("custom", norm=plain, norm_gain=0.1)


def test_the_gain_of_a_frozen_norm_is_that_of_every_time_step():
    model = rnn("batchnorm", norm={"frozen": True}, per_step=True, norm_gain=0.1)
    gains = [gain for name, gain in model.named_buffers() if name.endswith("weight")]
    assert len(gains) == 3 * T and all((gain == 0.1).all() for gain in gains)


@pytest.mark.parametrize(
    "options", [{}, {"per_step": True}, {"norm_at": "input", "per_step": True}]
)
def test_twice_the_context_uses_the_last_statistics(options):
    model = stirred(rnn("batchnorm", **options))
    model(IDS)
    model.eval()
    twice = torch.cat([IDS, IDS.flip(0)], dim=1)
    logits = model(twice)
    assert logits.shape == (N, 2 * T, V)
    torch.testing.assert_close(logits[:, :T], model(IDS))
    wanted, _ = oracle(model, twice, "batchnorm", training=False)
    torch.testing.assert_close(logits, wanted)


@pytest.mark.parametrize("kind", ROWS)
def test_no_norm_shows_it_the_future(kind):
    model = rnn(kind, norm={"num_groups": 2} if kind == "groupnorm" else {}).double()
    others = copy.deepcopy(model)
    later = IDS.clone()
    later[:, 3:] = (later[:, 3:] + 1) % V
    logits, perturbed = model(IDS), others(later)
    assert torch.equal(logits[:, :3], perturbed[:, :3])
    assert not torch.allclose(logits[:, 3:], perturbed[:, 3:])
    past = IDS.clone()
    past[:, 0] = (past[:, 0] + 1) % V
    assert not torch.allclose(model(past)[:, -1], logits[:, -1])


@pytest.mark.parametrize(
    "options", [{"norm_at": "all"}, {"norm_at": "input"}, {"norm_at": "all", "per_step": True}]
)
def test_the_gain_that_norms_start_at(options):
    model = rnn("layernorm", norm_gain=0.1, **options)
    gains = [
        p for name, p in model.named_parameters() if "norm" in name and name.endswith("weight")
    ]
    assert len(gains) == (3 if options["norm_at"] == "all" else 1)
    assert all((gain == torch.tensor(0.1)).all() for gain in gains)
    biases = [p for name, p in model.named_parameters() if "norm" in name and name.endswith("bias")]
    assert [bias.shape for bias in biases] == ([(C,)] if options["norm_at"] == "all" else [])


def test_weights_start_orthogonal_and_the_same_under_every_norm():
    torch.rand(3)
    layer = rnn("none").layers[0]
    for linear in (layer.input, layer.recurrent):
        for gate in linear.weight.double().chunk(4):
            torch.testing.assert_close(gate @ gate.T, torch.eye(C).double(), rtol=1e-5, atol=1e-5)
    assert layer.input.bias.tolist() == [0.0] * C + [1.0] * C + [0.0] * 2 * C
    roles = parameters_by_role(rnn("none"))
    assert [len(roles[role]) for role in ("embedding", "matrix", "bias")] == [1, 3, 2]
    for kind in ROWS:
        options = {"norm": {"num_groups": 2}} if kind == "groupnorm" else {}
        others = parameters_by_role(rnn(kind, per_step=True, **options))
        for role in ("embedding", "matrix", "bias"):
            assert all(torch.equal(a, b) for a, b in zip(roles[role], others[role], strict=True)), (
                kind
            )


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("none", {"norm_gain": 0.1}, "norm_gain=0.1 is for a norm with a gain"),
        ("layernorm", {"norm_gain": 0.0}, "norm_gain=0: give an initial gain above 0"),
        ("layernorm", {"norm_at": "cell"}, "choose one of all, input"),
        ("instancenorm", {}, "instancenorm cannot take layout NC"),
    ],
)
def test_refused(kind, options, words):
    with pytest.raises(NormLabError, match=words):
        rnn(kind, **options)


def test_bfloat16_stays_near_float32():
    model = rnn("batchnorm")
    wanted = copy.deepcopy(model)(IDS)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(IDS)
    torch.testing.assert_close(logits.float(), wanted, rtol=0.05, atol=0.05)
    logits.float().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize(
    ("kind", "options"), [("batchnorm", ["model.per_step=true"]), ("layernorm", []), ("none", [])]
)
def test_learns_from_text(kind, options):
    shared = [
        "model=rnn",
        "model.width=16",
        "data.context=12",
        "data.batch_size=16",
        "data.eval_subset=2000",
    ]
    cfg = compose([*shared, f"norm={kind}", "optim.lr=0.02", *options])
    data = load_data(cfg.data, cfg.seed)
    model = build_model(cfg, data.modality, data.input_shape, data.num_outputs)
    losses = train_steps(
        model,
        build_optimizer(cfg.optim, model),
        learning_rate(cfg.optim, 150),
        data.batch,
        range(150),
    )
    assert losses[:3].mean() > data.trivial_loss
    assert losses[-10:].mean() < data.trivial_loss - 0.2
