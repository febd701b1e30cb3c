"""The transformer against its formulas written out, in float64; its initial weights."""

import math

import pytest
import torch
import torch.nn.functional as F
from naive_transformer import (
    CLASSES,
    CONTEXT,
    HEADS,
    VOCABULARY,
    WIDTH,
    assert_same_forward_and_gradients,
    build,
    documents,
    naive,
    randomised,
)

from normlab.config.compose import compose
from normlab.errors import NormLabError
from normlab.models import build_model
from normlab.models.attention import Visibility
from normlab.models.transformer import PLACEMENTS
from normlab.norms import Norm

CASES = [
    *({"placement": placement, "depth": depth} for placement in PLACEMENTS for depth in (2, 3)),
    *(
        {"placement": placement, "depth": 2, "qk_norm": True, "tied": False}
        for placement in ("pre", "deepnorm")
    ),
    *(
        {"placement": placement, "depth": 3, "layer_scaling": True}
        for placement in ("pre", "sandwich")
    ),
    *(
        {"placement": placement, "depth": 2, "init": "xavier"}
        for placement in ("pre", "post", "deepnorm")
    ),
]


@pytest.mark.parametrize("options", CASES, ids=str)
def test_placement_is_its_formula(options):
    model = randomised(build(**options))
    ids = documents([CONTEXT] * 2)
    assert_same_forward_and_gradients(model, ids, naive(model, ids, **options))


def test_default_weights_are_drawn_as_they_always_were():
    """GPT-2's standard deviations in a fixed order, bit for bit; a norm draws nothing."""
    depth = 3
    matrices = {name: p for name, p in build(depth=depth).named_parameters() if p.dim() == 2}
    out = 0.02 / math.sqrt(2 * depth)
    expected = {"tokens": 0.02, "positions": 0.02}
    for layer in range(depth):
        for name, std in (("attention.branch.qkv", 0.02), ("attention.branch.out", out),
                          ("mlp.branch.up", 0.02), ("mlp.branch.out", out)):  # fmt: skip
            expected[f"blocks.{layer}.{name}"] = std
    generator = torch.Generator().manual_seed(0)
    assert len(matrices) == len(expected)
    for name, std in expected.items():
        weight = matrices[f"{name}.weight"]
        assert torch.equal(
            weight, torch.empty(weight.shape).normal_(0.0, std, generator=generator)
        ), name


@pytest.mark.parametrize("init", ["gpt2", "xavier"])
def test_draws_depend_on_neither_norm_nor_placement(init):
    def matrices(**options):
        model = build(init=init, tied=False, **options)
        return {name: p for name, p in model.named_parameters() if p.dim() == 2}

    reference = matrices()
    assert "head.weight" in reference
    for kind in ("rmsnorm", "none", "batchnorm"):
        other = matrices(kind=kind, qk_norm=True)
        assert reference.keys() == other.keys() and all(
            torch.equal(other[name], reference[name]) for name in other
        )
    beta = (8 * 2) ** -0.25
    for placement in PLACEMENTS:
        scaled = placement in ("deepnorm", "deepnorm_beta")
        for name, weight in matrices(placement=placement).items():
            expected = reference[name].clone()
            if scaled and name.endswith((".out.weight", ".up.weight")):
                expected *= beta
            if scaled and name.endswith(".qkv.weight"):
                expected[2 * WIDTH :] *= beta
            assert torch.equal(weight, expected), (placement, name)


@pytest.mark.parametrize(
    ("placement", "beta"), [("deepnorm", (8 * 4) ** -0.25), ("deepnorm_alpha", 1.0), ("pre", 1.0)]
)
def test_initial_standard_deviations(placement, beta):
    """Glorot & Bengio 2010 with DeepNorm's gain on values, outputs and MLP, as in figure 2 of
    Wang et al. 2022."""
    c = 160
    model = build(depth=4, width=c, num_heads=4, init="xavier", placement=placement, tied=False)
    q, k, v = model.blocks[2].attention.branch.qkv.weight.chunk(3)
    mlp = model.blocks[2].mlp.branch
    for weight, std in (
        (q, 1 / math.sqrt(c)),
        (k, 1 / math.sqrt(c)),
        (v, beta / math.sqrt(c)),
        (model.blocks[2].attention.branch.out.weight, beta / math.sqrt(c)),
        (mlp.up.weight, beta * math.sqrt(2 / (5 * c))),
        (mlp.out.weight, beta * math.sqrt(2 / (5 * c))),
        (model.head.weight, math.sqrt(2 / (c + VOCABULARY))),
        (model.tokens.weight, 1 / math.sqrt(c)),
    ):
        # Of n draws the measured deviation has a relative standard error of 1 / sqrt(2 n).
        assert float(weight.detach().std()) == pytest.approx(
            std, rel=5 / math.sqrt(2 * weight.numel())
        )
    gpt2 = build(depth=4, width=c, num_heads=4, placement=placement)
    out = gpt2.blocks[2].mlp.branch.out.weight.detach()
    assert float(out.std()) == pytest.approx(beta * 0.02 / math.sqrt(8), rel=0.02)


@pytest.mark.parametrize(
    ("placement", "alpha"), [("deepnorm", 2), ("deepnorm_alpha", 2), ("deepnorm_beta", 1)]
)
def test_alpha_multiplies_the_residual_and_not_the_branch(placement, alpha):
    """Depth 8: alpha = 16^(1/4) = 2."""
    model = build(kind="none", depth=8, placement=placement)
    residual = model.blocks[5].mlp
    x = torch.randn(2, CONTEXT, WIDTH)
    torch.testing.assert_close(
        residual(x, Visibility()), alpha * x + residual.branch(x, Visibility())
    )


NORMS_OF = {"pre": (2, 1), "post": (2, 0), "sandwich": (4, 1), "deepnorm": (2, 0)}


@pytest.mark.parametrize("placement", NORMS_OF)
@pytest.mark.parametrize("qk_norm", [False, True])
def test_number_of_norms(placement, qk_norm):
    depth = 3
    model = build(depth=depth, placement=placement, qk_norm=qk_norm)
    each, last = NORMS_OF[placement]
    norms = [module for module in model.modules() if isinstance(module, Norm)]
    assert len(norms) == depth * (each + 2 * qk_norm) + last
    assert sum(norm.num_features == WIDTH // HEADS for norm in norms) == 2 * depth * qk_norm
    assert (model.norm is not None) == bool(last)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_text_model_is_causal(placement):
    model = randomised(build(placement=placement, qk_norm=True)).eval()
    ids = documents([CONTEXT])
    other = ids.clone()
    other[:, 4] = 3 + (other[:, 4] - 2) % (VOCABULARY - 3)
    difference = (model(ids) - model(other)).abs().amax(dim=(0, 2))
    assert difference[:4].max() == 0 and (difference[4:] > 0).all()


@pytest.mark.parametrize("modality", ["masked", "documents"])
def test_bidirectional_model_sees_all_tokens_of_its_own_sequence_and_no_other(modality):
    model = randomised(build(modality)).eval()
    ids = documents([5, 6])
    for place in (0, 4):
        other = ids.clone()
        other[0, place] = 3 + (other[0, place] - 2) % (VOCABULARY - 3)
        difference = (model(ids) - model(other)).abs().amax(-1)
        own = difference[0, :5] if modality == "masked" else difference[0]
        assert own.min() > 0 and difference[1].max() == 0


def test_two_hundred_blocks_take_a_step():
    model = build(depth=200, width=8, num_heads=2, placement="deepnorm", init="xavier")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    ids = documents([CONTEXT] * 2)
    losses = []
    for _ in range(2):
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        losses.append(loss.item())
        loss.backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters())
        optimizer.step()
    assert math.isfinite(losses[1]) and losses[1] != losses[0]


def test_configuration_reaches_the_model():
    cfg = compose(
        ["model=transformer", "model.placement=deepnorm", "model.init=xavier", "model.qk_norm=true"]
    )
    model = build_model(cfg, "text", (CONTEXT,), VOCABULARY)
    block = model.blocks[0]
    assert (
        block.attention.alpha == 6**0.25
        and block.attention.total is not None
        and block.attention.before is None
    )
    assert block.attention.branch.norm_q is not None and model.embedding_scale == 8
    cfg = compose(["model=transformer", "model.padding=masked", "model.tied=false"])
    assert build_model(cfg, "documents", (CONTEXT, VOCABULARY), CLASSES)(
        documents([3, 2])
    ).shape == (2, CLASSES)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_heads": 5}, "1, 2, 3, 4, 6, 12"),
        ({"num_heads": 0}, "1, 2, 3, 4, 6, 12"),
        ({"mlp_ratio": 0}, "at least 1"),
        ({"placement": "peri"}, "pre, post, sandwich, deepnorm"),
        ({"init": "he"}, "gpt2, xavier"),
        ({"padding": "ignored"}, "counted, masked, zeroed"),
        ({"padding": "masked"}, "no padding"),
        ({"modality": "image"}, "text, masked, documents"),
        ({"placement": "post", "layer_scaling": True}, "placement=pre or sandwich"),
        ({"kind": "layernorm", "num_heads": 12, "qk_norm": True}, "1 channel"),
    ],
)
def test_what_does_not_fit_is_refused(options, words):
    with pytest.raises(NormLabError, match=words):
        build(**options)


def test_more_tokens_than_the_context_are_refused():
    with pytest.raises(NormLabError, match="at most 7"):
        build()(documents([CONTEXT + 1], CONTEXT + 1))
