"""What is read and given by norms, and how the sizes of activations are followed through a
training."""

import math

import pytest
import torch

from normlab.config.compose import compose
from normlab.measure.states import (
    course_of_training,
    inputs_of_norms,
    log_range,
    norms_of,
    without_centring,
)
from normlab.models import build_model

TEXT = (
    "model=transformer",
    "model.width=8",
    "model.num_heads=2",
    "data.context=8",
    "data.batch_size=4",
)
RUN = (*TEXT, "data.subset=3000", "data.eval_subset=200", "trainer.max_steps=20")


def transformer(*overrides):
    return build_model(compose([*TEXT, *overrides]), "text", (8,), 11)


def test_inputs_of_norms_are_the_stream_where_they_stand_before_branches():
    model = transformer("model.depth=2")
    ids = torch.randint(0, 11, (3, 8))
    states = inputs_of_norms(model, ids)
    assert [tuple(state.shape) for state in states] == [(3, 8, 8)] * 5
    assert torch.equal(model.norm(states[-1]) @ model.tokens.weight.T, model(ids))
    assert not any(norm._forward_pre_hooks for norm in norms_of(model))


def test_without_centring_is_rmsnorm_with_a_bias_and_leaves_the_model_alone():
    model = transformer().double()
    for norm in norms_of(model):
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    ids = torch.randint(0, 11, (2, 8))
    before = model(ids)
    copied = without_centring(model)
    (x, *_), norm = inputs_of_norms(copied, ids), norms_of(copied)[0]
    expected = x / (x.square().mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight + norm.bias
    assert torch.allclose(norm(x), expected, rtol=1e-12)
    assert not torch.allclose(copied(ids), before) and torch.equal(model(ids), before)
    bare = transformer("norm=rmsnorm")
    assert torch.equal(without_centring(bare)(ids), bare(ids))


def test_log_range_is_over_places_and_moments_and_counts_infinity():
    course = [{"read": [1.0, 2.0]}, {"read": [0.5, 4.0]}]
    assert log_range(course, "read") == pytest.approx(math.log(8))
    assert log_range([{"read": [1.0, math.inf]}], "read") == pytest.approx(math.log(1e12))
    assert math.isfinite(log_range([{"read": [0.0, math.nan]}], "read"))


@pytest.mark.parametrize("norm", ["none", "layernorm"])
def test_course_of_training_has_every_place_and_moment(norm):
    course, data = course_of_training(
        (*RUN, f"norm={norm}", "model.depth=2"), 0, (0.01,), moments=3
    )
    assert [(len(moment["read"]), len(moment["stream"])) for moment in course] == [(5, 2)] * 3
    assert course[0] != course[-1] and data["name"] == "pydoc"
    if norm == "layernorm":
        assert course[0]["read"] == pytest.approx(
            [1.0] * 5, rel=0.02
        )  # gains of 1 before the first step
    else:
        assert course[0]["read"][2] == course[0]["stream"][0]  # what nothing changes


def test_course_of_training_takes_the_rate_with_the_lowest_loss():
    both, _ = course_of_training(RUN, 0, (0.01, 1e-6))
    assert both == course_of_training(RUN, 0, (0.01,))[0] != course_of_training(RUN, 0, (1e-6,))[0]
    assert both == course_of_training(RUN, 0, (1e-6, 0.01))[0]
    # A loss that is not finite is the highest, wherever it stands.
    none = (*RUN, "norm=none")
    wanted, _ = course_of_training(none, 0, (0.01,))
    assert not math.isfinite(course_of_training(none, 0, (1e12,))[0][-1]["stream"][-1])
    assert course_of_training(none, 0, (1e12, 0.01))[0] == wanted
    assert course_of_training(none, 0, (0.01, 1e12))[0] == wanted


def test_looking_does_not_change_the_training():
    overrides = (
        "model=plaincnn",
        "model.width=4",
        "data=digits",
        "data.batch_size=32",
        "norm=batchnorm",
    )
    often, seldom = (
        course_of_training((*overrides, "trainer.max_steps=10"), 0, (0.1,), moments)[0]
        for moments in (11, 2)
    )
    assert (
        often[-1] == seldom[-1]
        and often[0] == seldom[0]
        and len(often) == 11
        and not often[0]["stream"]
    )
