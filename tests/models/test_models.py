"""Models: same seed, same weights under every norm; every norm takes a step in every model that
it fits."""

import inspect

import pytest
import torch

from normlab.config.compose import compose
from normlab.data import load_data
from normlab.errors import NormLabError
from normlab.models import MODELS, build_model, model_class
from normlab.models.options import MODEL_CONFIGS, keywords
from normlab.norms import KINDS
from normlab.training.optim import build_optimizer, learning_rate, parameters_by_role
from normlab.training.step import train_steps

LAYOUT = {
    "plaincnn": "NCHW",
    "resnet": "NCHW",
    "speednet": "NCHW",
    "mlp": "NC",
    "transformer": "NTC",
    "rnn": "NC",
}
SMALL = {
    "resnet": ["model.depth=8"],
    "speednet": ["data.image_size=32"],
    "transformer": ["model.depth=2", "data.context=16"],
}


def composed(model, kind, *more):
    sequence = (
        ["allow_noncausal=true"] if model == "transformer" and not KINDS[kind].causal_safe else []
    )
    return compose(
        [
            f"model={model}",
            f"norm={kind}",
            "data.batch_size=8",
            *SMALL.get(model, []),
            *sequence,
            *more,
        ]
    )


@pytest.mark.parametrize("name", MODELS)
def test_what_a_network_is_without_options_is_said_once(name):
    """Depth and width by the configuration alone; the rest, where a class says it, the same."""
    parameters = inspect.signature(model_class(name)).parameters
    defaults = {key: p.default for key, p in parameters.items() if p.default is not p.empty}
    options = keywords(MODEL_CONFIGS[name](name))
    assert not {"depth", "width"} & defaults.keys()
    assert {key: options.get(key) for key in defaults.keys() - {"modality"}} == {
        key: value for key, value in defaults.items() if key != "modality"
    }


@pytest.fixture(scope="module")
def loaded():
    cache = {}

    def load(cfg):
        key = cfg.data.name, getattr(cfg.data, "image_size", None)
        if key not in cache:
            cache[key] = load_data(cfg.data, cfg.seed)
        return cache[key]

    return load


def build(cfg, data):
    return build_model(cfg, data.modality, data.input_shape, data.num_outputs)


@pytest.mark.parametrize("model", LAYOUT)
@pytest.mark.parametrize("kind", KINDS)
def test_every_norm_and_model_takes_a_step(model, kind, loaded):
    cfg = composed(model, kind)
    data = loaded(cfg)
    if LAYOUT[model] not in KINDS[kind].layouts:
        with pytest.raises(NormLabError, match=LAYOUT[model]):
            build(cfg, data)
        return
    network = build(cfg, data).train()
    before = {name: value.clone() for name, value in network.named_parameters()}
    losses = train_steps(
        network,
        build_optimizer(cfg.optim, network),
        learning_rate(cfg.optim, 10),
        data.batch,
        range(2),
    )
    assert torch.isfinite(losses).all()
    still = [name for name, value in network.named_parameters() if torch.equal(value, before[name])]
    # The gain of a gradient-free path: nothing may be left out of training.
    assert not still, f"unchanged by two steps: {still}"


@pytest.mark.parametrize("model", LAYOUT)
def test_same_seed_gives_the_same_weights_under_every_norm(model, loaded):
    reference = None
    for kind, spec in KINDS.items():
        if LAYOUT[model] not in spec.layouts:
            continue
        torch.rand(3)  # the global generator is not what weights come from
        cfg = composed(model, kind)
        network = build(cfg, loaded(cfg))
        roles = parameters_by_role(network)
        weights = [*roles["matrix"], *roles["embedding"]]
        if reference is None:
            reference = weights
        assert len(weights) == len(reference) > 0
        assert all(torch.equal(a, b) for a, b in zip(weights, reference, strict=True)), kind
        if model != "rnn":  # whose forget gate begins open
            assert all((bias == 0).all() for bias in roles["bias"])


@pytest.mark.parametrize(
    "model", [name for name in MODELS if "image" in model_class(name).modalities]
)
def test_biases_stand_only_where_the_norm_has_no_shift(model, loaded):
    for kind in ("none", "rmsnorm", "batchnorm", "layernorm"):
        if LAYOUT[model] not in KINDS[kind].layouts:
            continue
        cfg = composed(model, kind)
        biases = parameters_by_role(build(cfg, loaded(cfg)))["bias"]
        # The last linear layer always has one, and a stem without a norm.
        always = 2 if model == "speednet" else 1
        assert (len(biases) == always) == KINDS[kind].has_shift


@pytest.mark.parametrize("reparam", ["weightnorm", "spectralnorm", "weight_standardization"])
@pytest.mark.parametrize("model", ["plaincnn", "mlp", "transformer"])
def test_reparametrised_models_train_and_keep_roles(model, reparam, loaded):
    cfg = composed(model, "layernorm", f"reparam={reparam}")
    data = loaded(cfg)
    network = build(cfg, data)
    roles = parameters_by_role(network)
    assert sum(len(group) for group in roles.values()) == len(
        [p for p in network.parameters() if p.requires_grad]
    )
    assert all(
        parameter.dim() >= 2 and parameter.numel() > parameter.shape[0]
        for parameter in roles["matrix"]
    )
    losses = train_steps(
        network,
        build_optimizer(cfg.optim, network),
        learning_rate(cfg.optim, 10),
        data.batch,
        range(2),
    )
    assert torch.isfinite(losses).all()


def test_weight_decay_reaches_matrices_only(loaded):
    cfg = composed("plaincnn", "groupnorm", "optim.weight_decay=0.1")
    network = build(cfg, loaded(cfg))
    decayed = {
        id(p)
        for group in build_optimizer(cfg.optim, network).param_groups
        if group["weight_decay"]
        for p in group["params"]
    }
    assert decayed == {id(p) for p in network.parameters() if p.dim() >= 2}


def test_transformer_is_causal_and_token_mixing(loaded):
    cfg = composed("transformer", "layernorm")
    data = loaded(cfg)
    network = build(cfg, data).eval()
    ids, _ = data.batch(0)
    other = ids.clone()
    other[:, 10] = (other[:, 10] + 1) % data.num_outputs
    with torch.inference_mode():
        difference = (network(ids) - network(other)).abs().amax(dim=(0, 2))
    assert difference[:10].max() == 0
    assert (difference[10:] > 0).all()


def test_resnet_layers_and_shapes(loaded):
    for depth in (8, 20, 56):
        cfg = composed("resnet", "batchnorm", f"model.depth={depth}")
        network = build(cfg, loaded(cfg))
        convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
        assert len(convolutions) == depth - 1
        assert network(torch.randn(2, 1, 8, 8)).shape == (2, 10)


def test_plaincnn_of_any_depth(loaded):
    for depth in (1, 2, 3, 7, 20):
        cfg = composed("plaincnn", "batchnorm", f"model.depth={depth}")
        network = build(cfg, loaded(cfg))
        convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
        assert len(convolutions) == depth
        assert sum(m.stride == (2, 2) for m in convolutions) == (2 if depth > 2 else 0)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model=resnet", "model.depth=10"], "8, 14, 20"),
        (["model=transformer", "model.num_heads=5"], "1, 2, 4"),
        (["model=transformer", "norm=batchnorm"], "allow_noncausal"),
        (["model=transformer", "data=digits"], "choose model=plaincnn"),
        (["model=mlp", "data=pydoc"], "choose model=transformer"),
        (["model=plaincnn", "model.depth=0"], "a number from 1 to 10000"),
        (["model=plaincnn", "norm=groupnorm", "norm.num_groups=5"], "1, 2, 4, 8, 16"),
    ],
)
def test_what_does_not_fit_is_refused(overrides, words, loaded):
    with pytest.raises(NormLabError, match=words):
        # Numbers out of bounds are refused as soon as they are composed.
        cfg = compose(overrides)
        build(cfg, loaded(cfg))
