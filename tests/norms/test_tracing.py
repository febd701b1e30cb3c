"""Options that take another path in a compiler or tracer than the table of abilities shows."""

import copy

import pytest
import torch
from norm_cases import build, draw

from normlab.norms import make_norm

# What inductor compiles, before it makes kernels: it computes again in the backward what is cheap.
PARTITIONED = "aot_eager_decomp_partition"


def compiled(norm, backend="aot_eager"):
    torch._dynamo.reset()
    return torch.compile(norm, fullgraph=True, backend=backend)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("batchnorm", {}),
        ("batchnorm", {"ghost_batch": 2}),
        ("batchrenorm", {}),
        ("causal_batchnorm", {}),
        ("instancenorm", {"track_running_stats": True}),
    ],
)
def test_a_cumulative_average_in_one_graph(kind, options):
    norm = build(kind, "NTC", {"momentum": None, **options}, torch.float64)
    eager = copy.deepcopy(norm)
    both = compiled(norm), eager
    for seed in range(2):
        x = draw("NTC", seed)
        for layer in both:
            layer(x).pow(3).sum().backward()
    for name, parameter in eager.named_parameters():
        torch.testing.assert_close(norm.get_parameter(name).grad, parameter.grad)
    for name, buffer in eager.named_buffers():
        torch.testing.assert_close(norm.get_buffer(name), buffer)


@pytest.mark.parametrize(
    ("kind", "options", "updates", "backend"),
    [
        ("batchnorm", {}, 0, PARTITIONED),
        ("batchnorm", {"ghost_batch": 2}, 0, PARTITIONED),
        ("batchrenorm", {}, 120, "aot_eager"),
        ("batchrenorm", {}, 120, PARTITIONED),
        ("batchrenorm", {"warmup_steps": 2}, 0, PARTITIONED),
        ("batchrenorm", {"ghost_batch": 2}, 10, PARTITIONED),
        ("causal_batchnorm", {}, 0, PARTITIONED),
        ("instancenorm", {"track_running_stats": True}, 0, PARTITIONED),
        ("syncbatchnorm", {"fallback": True}, 0, PARTITIONED),
    ],
)
def test_three_steps_have_the_gradients_and_buffers_of_eager_mode(kind, options, updates, backend):
    """Gradients that are made of buffers are of those before the update, warm-up over or not."""
    norm = build(kind, "NTC", options, torch.float64)
    norm.num_batches_tracked.fill_(updates)
    eager = copy.deepcopy(norm)
    step = compiled(norm, backend)
    for seed in range(3):
        x = draw("NTC", seed)
        for layer, call in ((norm, step), (eager, eager)):
            leaf = x.clone().requires_grad_()
            (call(leaf).pow(3).sum() / x.numel()).backward()
            layer.gradient = leaf.grad
            with torch.no_grad():
                for parameter in layer.parameters():
                    parameter -= 0.1 * parameter.grad
        torch.testing.assert_close(norm.gradient, eager.gradient)
        for name, wanted in eager.state_dict().items():
            torch.testing.assert_close(norm.state_dict()[name], wanted)


def test_a_cumulative_average_on_the_meta_device():
    with torch.device("meta"):
        assert make_norm("batchnorm", 4, momentum=None)(torch.ones(2, 4, 3, 3)).is_meta


def test_positions_that_were_not_trained_on_are_nan_where_nothing_can_be_raised():
    norm = build("causal_batchnorm", "NTC", {"max_positions": 7}, torch.float64)
    x = draw("NTC")
    norm(x[:, :4])
    norm.eval()
    y = compiled(norm)(x)
    torch.testing.assert_close(y[:, :4], norm(x[:, :4]))
    assert y[:, 4:].isnan().all()
