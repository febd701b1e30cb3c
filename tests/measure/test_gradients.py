"""The gradient on its way back: against what is known of linear networks and of a single layer."""

import torch
from torch import nn

from normlab.config.compose import compose
from normlab.measure.gradients import flow_before_and_after, hidden_gradient_norms


def test_a_chain_of_doublings_doubles_the_gradient_backwards():
    model = nn.Sequential(*(nn.Linear(4, 4, bias=False) for _ in range(4)))
    with torch.no_grad():
        for layer in model:
            layer.weight.copy_(2 * torch.eye(4))
    x, y = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 4
    norms = hidden_gradient_norms(model, [(x, y), (x, y)])
    torch.testing.assert_close(norms[:-1] / norms[1:], torch.full((2,), 2.0, dtype=torch.float64))
    assert all(parameter.grad is None for parameter in model.parameters())
    # two equal batches: sqrt(2) times one
    torch.testing.assert_close(norms, 2**0.5 * hidden_gradient_norms(model, [(x, y)]))


def test_before_does_not_depend_on_the_rates_and_untrainable_nets_stay_what_they_were():
    def flow(*rates):
        cfg = compose(["data=digits", "model=mlp", "model.depth=4", "model.width=16", "norm=none"])
        return flow_before_and_after(cfg, 10, rates)

    before, after, data = flow(1e-2)
    assert len(before) == 4 and data["name"] == "digits" and before != after
    assert flow(1e30)[:2] == (before, before)  # not finite after a step
