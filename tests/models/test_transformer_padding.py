"""Padded sequences: attention never reaches padding, and norms see of it what they are told to."""

import pytest
import torch
import torch.nn.functional as F
from naive_transformer import (
    CONTEXT,
    HEADS,
    WIDTH,
    assert_same_forward_and_gradients,
    build,
    documents,
    naive,
    randomised,
)

from normlab.errors import NormLabError
from normlab.models.layers import PAD
from normlab.norms import KINDS, Norm


@pytest.mark.parametrize("modality", ["masked", "documents"])
@pytest.mark.parametrize("padding", ["counted", "zeroed", "masked"])
@pytest.mark.parametrize("options", [{}, {"placement": "deepnorm", "qk_norm": True}], ids=str)
def test_padded_sequences_are_what_they_are_alone(modality, padding, options):
    tied = modality == "masked"
    options = {"depth": 2, "modality": modality, "tied": tied, **options}
    model = randomised(build(padding=padding, **options))
    ids = documents([CONTEXT, 1, 4])
    assert_same_forward_and_gradients(model, ids, naive(model, ids, **options))


def outputs_with(model, ids, pad_embedding):
    with torch.no_grad():
        model.tokens.weight[PAD] = pad_embedding
        return model(ids)


@pytest.mark.parametrize("kind", ["batchnorm", "rmsnorm", "groupnorm"])
@pytest.mark.parametrize("options", [{}, {"placement": "deepnorm", "qk_norm": True}], ids=str)
def test_masked_norms_see_nothing_of_padding(kind, options):
    options = {"width": 48, **options}  # 8 groups divide the channels of a head
    lengths = [3, 5, 4]
    short = randomised(build("documents", kind, padding="masked", context=5, **options))
    long = randomised(build("documents", kind, padding="masked", context=12, **options))
    with torch.no_grad():
        for ours, theirs in zip(long.parameters(), short.parameters(), strict=True):
            ours[: len(theirs)] = theirs
    ids = documents(lengths, 5)
    padded = F.pad(ids, (0, 7), value=PAD)
    alone = outputs_with(short, ids, 0.0)
    torch.testing.assert_close(outputs_with(long, padded, 5.0), alone, rtol=1e-10, atol=1e-10)
    short.eval(), long.eval()
    # One batch has gone into the running statistics of each, and nothing of its padding.
    torch.testing.assert_close(
        outputs_with(long, padded, 5.0), outputs_with(short, ids, 9.0), rtol=1e-9, atol=1e-9
    )


def test_counted_batchnorm_sees_padding_and_zeroed_only_its_share():
    ids = documents([3, 5, 4])
    counted = randomised(build("documents", "batchnorm"))
    assert (outputs_with(counted, ids, 9.0) - outputs_with(counted, ids, 0.0)).abs().max() > 1e-3
    zeroed = randomised(build("documents", "batchnorm", padding="zeroed"))
    before = outputs_with(zeroed, ids, 0.0)
    torch.testing.assert_close(outputs_with(zeroed, ids, 9.0), before, rtol=1e-12, atol=1e-12)
    assert (outputs_with(zeroed, ids[:, :5], 0.0) - before).abs().max() > 1e-3


@pytest.mark.parametrize("padding", ["counted", "zeroed", "masked"])
def test_what_norms_are_given(padding):
    model = build("masked", "batchnorm", padding=padding, qk_norm=True)
    ids = documents([3, 7, 1])
    valid, shapes = ids != PAD, []

    def note(norm, inputs):
        (x,) = inputs
        shapes.append(tuple(x.shape))
        heads = HEADS if norm.num_features == WIDTH // HEADS else 1
        if padding == "masked":
            assert x.shape == (11 * heads, norm.num_features) and norm.layout == "NC"
            return
        assert x.shape == (3 * heads, CONTEXT, norm.num_features) and norm.layout == "NTC"
        absent = x[~valid.repeat_interleave(heads, 0)]
        assert bool((absent == 0).all()) == (padding == "zeroed")
        assert (x[valid.repeat_interleave(heads, 0)] != 0).any(1).all()

    for module in model.modules():
        if isinstance(module, Norm):
            module.register_forward_pre_hook(note)
    model(ids)
    assert len(shapes) == 2 * 4 + 1


@pytest.mark.parametrize("padding", ["counted", "zeroed", "masked"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_norm_learns_from_padded_documents(kind, padding):
    if ("NC" if padding == "masked" else "NTC") not in KINDS[kind].layouts:
        with pytest.raises(NormLabError, match="layout"):
            build("documents", kind, padding=padding, width=24)
        return
    model = build("documents", kind, padding=padding, width=24)
    F.cross_entropy(model(documents([3, 7, 2, 6])), torch.arange(4)).backward()
    matrices = {name: p for name, p in model.named_parameters() if p.dim() == 2}
    assert all(torch.isfinite(p.grad).all() and p.grad.abs().max() > 0 for p in matrices.values())
