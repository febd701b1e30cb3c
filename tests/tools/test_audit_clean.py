"""Networks as they are built, after a warm-up and after a step: only what a reader would sign."""

import pytest
import torch

import normlab.models.torchvision_operators  # noqa: F401  # isort: skip  (before torchvision)
from torchvision import models

from normlab import audit
from normlab.tools.tiny_transformers import build_tiny, tiny_inputs


def built(name):
    """A network in train mode, and the keywords or the images of a call."""
    torch.manual_seed(0)
    if name.startswith("tiny "):
        model = build_tiny(name.removeprefix("tiny "))
        return model.train(), tiny_inputs(model)
    model = models.get_model(name, weights=None, num_classes=10)
    return model.train(), torch.randn(4, 3, 32, 32)


def run(model, batch, state, optimizer):
    if state == "fresh":
        return
    with torch.set_grad_enabled(state == "a step"):
        outputs = model(**batch) if isinstance(batch, dict) else model(batch)
        if state == "a step":
            values = outputs if isinstance(outputs, torch.Tensor) else next(iter(outputs.values()))
            values.square().mean().backward()
            optimizer.step()


@pytest.mark.parametrize("state", ["fresh", "a warm-up", "a step"])
@pytest.mark.parametrize(
    ("name", "found"),
    [
        # Of the four samples of their batch, which share statistics.
        ("resnet18", {"tiny-batch"}),
        ("mobilenet_v3_small", {"tiny-batch"}),
        ("shufflenet_v2_x0_5", {"tiny-batch"}),
        ("tiny bert", set()),
        ("tiny llama", set()),
        ("tiny vit", set()),
        ("tiny convnext", set()),
    ],
)
def test_a_clean_network_has_no_false_alarm(name, found, state):
    model, batch = built(name)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    run(model, batch, state, optimizer)
    findings = audit(model, batch, optimizer=optimizer).findings
    assert {finding.name for finding in findings} == found
