"""Every sample of PyTorch's own tests of its norms, by our layers: outputs, gradients, buffers."""

from collections import Counter

import pytest
import torch
from torch_samples import Function, Sample, databases, module_samples, operator_samples

from normlab.errors import NormLabError

TOLERANCE = {
    torch.float64: {"rtol": 1e-9, "atol": 1e-9},
    torch.float32: {"rtol": 2e-4, "atol": 2e-5},
}
DTYPES = list(TOLERANCE)


@pytest.fixture(scope="module")
def torch_databases():
    return databases()


def compare(sample: Sample, dtype) -> str:
    """ "" where all agree, or the sentence that refuses to build the layer."""
    try:
        ours, shape = sample.build()
    except NormLabError as error:
        return str(error)
    theirs = sample.theirs.train(sample.training)
    ours.to(dtype).train(sample.training)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in theirs.state_dict().items():
            if name != "num_batches_tracked":
                tensor.add_(torch.rand(tensor.shape, generator=generator, dtype=dtype) / 2)
    ours.load_state_dict(theirs.state_dict(), strict=not isinstance(theirs, Function))
    x, y = run(ours, sample.x.view(shape), generator)
    wanted_x, wanted = run(theirs, sample.x, generator)
    close(y.view(wanted.shape), wanted, dtype, f"{sample.name}: output")
    close(x.grad.view(wanted.shape), wanted_x.grad, dtype, f"{sample.name}: gradient")
    gradients = dict(ours.named_parameters())
    for name, parameter in theirs.named_parameters():
        close(gradients[name].grad, parameter.grad, dtype, f"{sample.name}: gradient of {name}")
    buffers = dict(ours.named_buffers())
    for name, buffer in theirs.named_buffers():
        # torch's instance norms never count.
        if name != "num_batches_tracked" or "InstanceNorm" not in sample.name:
            close(buffers[name], buffer, dtype, f"{sample.name}: {name}")
    return ""


def run(layer, x, generator):
    x = x.detach().clone().requires_grad_()
    y = layer(x)
    generator.manual_seed(1)
    y.backward(torch.randn(y.shape, generator=generator, dtype=y.dtype))
    return x, y


def close(actual, wanted, dtype, what):
    torch.testing.assert_close(
        actual, wanted, **TOLERANCE[dtype], msg=lambda text: f"{what}: {text}"
    )


def check(outcomes, expected):
    """How many agree, under "", and how many each sentence refuses, by its beginning."""
    counts = {text.partition(":")[0].removesuffix("."): n for text, n in outcomes.items()}
    if torch.__version__.startswith("2.13."):  # each has its own samples
        assert counts == expected
    assert counts.keys() <= expected.keys()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_samples_of_torchs_layers(torch_databases, dtype):
    outcomes = Counter(
        compare(sample, dtype) for sample in module_samples(torch_databases[0], dtype)
    )
    check(outcomes, {"": 126, "unknown norm 'local_response_norm'": 6})


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_samples_of_torchs_functions(torch_databases, dtype):
    outcomes = Counter(
        compare(sample, dtype) for sample in operator_samples(torch_databases[1], dtype)
    )
    expected = {
        "": 47,
        "eps must be positive, not -0.5": 6,
        "momentum must be between 0 and 1 or null for the cumulative average, not -1.2": 1,
        "momentum must be between 0 and 1 or null for the cumulative average, not -1.0": 4,
        "LayerNorm over 1 channel has one value per statistic": 2,
        "RMSNorm over 1 channel has one value per statistic": 2,
        "num_features must be at least 1, not 0": 4,
    }
    check(outcomes, expected)
