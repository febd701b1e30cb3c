"""NormSpec says the truth: the input, other samples, later positions and the mode change."""

import pytest
import torch
from norm_cases import CHANNELS, KIND_LAYOUTS, SHAPES, case_id, draw

from normlab.norms import KINDS, make_norm

KIND_SEQUENCES = [
    (kind, "NTC" if "NTC" in spec.layouts else "NCHW") for kind, spec in KINDS.items()
]


def new(kind, layout):
    return make_norm(kind, CHANNELS, layout).double()


def same(a, b):
    return torch.allclose(a, b, rtol=1e-3, atol=1e-3)


def test_every_kind_has_a_declaration_for_each_layout_it_takes():
    assert {kind for kind, _ in KIND_LAYOUTS} == set(KINDS)
    assert {layout for _, layout in KIND_LAYOUTS} == set(SHAPES)


@pytest.mark.parametrize(("kind", "layout"), KIND_LAYOUTS, ids=case_id)
def test_centred(kind, layout):
    x = draw(layout)
    assert same(new(kind, layout)(x + 5), new(kind, layout)(x)) is KINDS[kind].centred


@pytest.mark.parametrize(("kind", "layout"), KIND_LAYOUTS, ids=case_id)
def test_scaled(kind, layout):
    x = draw(layout)
    assert same(new(kind, layout)(x * 5), new(kind, layout)(x)) is KINDS[kind].scaled


@pytest.mark.parametrize(("kind", "layout"), KIND_LAYOUTS, ids=case_id)
def test_batch_dependent(kind, layout):
    x = draw(layout)
    other = x.clone()
    other[1:] = 3 * draw(layout, seed=1)[1:] + 1
    assert (
        same(new(kind, layout)(x)[0], new(kind, layout)(other)[0])
        is not KINDS[kind].batch_dependent
    )


@pytest.mark.parametrize(("kind", "layout"), KIND_LAYOUTS, ids=case_id)
def test_train_eval_differ(kind, layout):
    x = draw(layout)
    training, evaluating = new(kind, layout).train(), new(kind, layout).eval()
    assert same(training(x), evaluating(x)) is not KINDS[kind].train_eval_differ


@pytest.mark.parametrize(("kind", "layout"), KIND_SEQUENCES, ids=case_id)
def test_causal_safe(kind, layout):
    """On sequences, by later positions alone; a kind without sequences mixes an image's pixels."""
    x = draw(layout)
    later = x.clone()
    if layout == "NTC":
        later[:, 3:] = 3 * draw(layout, seed=1)[:, 3:] + 1
        now, then = new(kind, layout)(x)[:, :3], new(kind, layout)(later)[:, :3]
    else:
        later[..., 3:, :] = 3 * draw(layout, seed=1)[..., 3:, :] + 1
        now, then = new(kind, layout)(x)[..., :3, :], new(kind, layout)(later)[..., :3, :]
    assert same(now, then) is KINDS[kind].causal_safe


@pytest.mark.parametrize(("kind", "layout"), KIND_LAYOUTS, ids=case_id)
def test_has_shift(kind, layout):
    """Learns a bias: its gradient is there, and every channel of the output follows it."""
    norm, shifted = new(kind, layout), new(kind, layout)
    assert ("bias" in dict(norm.named_parameters())) is KINDS[kind].has_shift
    if KINDS[kind].has_shift:
        x = draw(layout)
        before = norm(x)
        with torch.no_grad():
            shifted.bias.add_(1)
        unit = kind == "frn"  # its thresholded unit holds back what stays below the threshold
        moved = shifted(x) - before
        assert (moved[before > 0] if unit else moved).allclose(torch.ones((), dtype=torch.float64))


@pytest.mark.parametrize(("kind", "layout"), KIND_LAYOUTS, ids=case_id)
def test_parameters_start_at_ones_and_zeros(kind, layout):
    norm = make_norm(kind, CHANNELS, layout)
    start = {
        "weight": torch.ones(CHANNELS),
        "bias": torch.zeros(CHANNELS),
        "tau": torch.zeros(CHANNELS),
    }
    start |= {"alpha": torch.tensor(0.5), "shift": torch.tensor(0.0)}
    for name, parameter in norm.named_parameters():
        assert torch.equal(parameter.detach(), start[name]), name
    assert norm.state_dict().keys() >= (
        {"weight"} if kind not in ("none", "pixelnorm", "adain", "dyt", "derf") else set()
    )


@pytest.mark.parametrize(("kind", "layout"), KIND_LAYOUTS, ids=case_id)
def test_construction_draws_no_random_number(kind, layout):
    before = torch.get_rng_state()
    make_norm(kind, CHANNELS, layout)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", ["batchnorm", "batchrenorm"])
def test_rows_of_an_image_are_mixed_by_batch_statistics(kind):
    x = draw("NCHW")
    other = x.clone()
    other[..., 3:, :] *= 2
    assert not same(new(kind, "NCHW")(x)[..., :3, :], new(kind, "NCHW")(other)[..., :3, :])
