"""Options that take another path in a compiler or tracer than the table of abilities shows."""

import copy

import pytest
import torch
from norm_cases import build, draw

from normlab.norms import make_norm


def compiled(norm):
    torch._dynamo.reset()
    return torch.compile(norm, fullgraph=True, backend="aot_eager")


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
