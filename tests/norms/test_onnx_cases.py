"""ONNX's own cases for the operators of norms, by our layers: outputs, and new statistics."""

from collections import Counter
from importlib import import_module
from importlib.metadata import version

import pytest
import torch
from torch_samples import over_sizes

from normlab.norms import make_norm

FILES = (
    *("batch_normalization", "instance_normalization", "groupnormalization"),
    *("layernormalization", "rmsnormalization", "meanvariancenormalization"),
)
COUNT = {
    "BatchNormalization": 4,
    "GroupNormalization": 2,
    "InstanceNormalization": 2,
    "LayerNormalization": 19,
    "MeanVarianceNormalization": 1,
    "RMSNormalization": 19,
}


@pytest.fixture(scope="module")
def cases():
    """Those of one node; the others are the same, written out as operations."""
    node = pytest.importorskip("onnx.backend.test.case.node")
    for name in FILES:
        import_module(f"{node.__name__}.{name}")
    return [
        case
        for case in node._NodeTestCases
        if len(case.model.graph.node) == 1 and case.model.graph.node[0].op_type in COUNT
    ]


def layer_of(case, x, parameters):
    """Our layer, and the shape to view `x` in."""
    from onnx.helper import get_attribute_value

    node = case.model.graph.node[0]
    given = {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}
    options = {"eps": given.get("epsilon", 1e-5)}
    if node.op_type in ("LayerNormalization", "RMSNormalization"):
        kind = "layernorm" if node.op_type == "LayerNormalization" else "rmsnorm"
        axis = given.get("axis", -1) % x.ndim
        return over_sizes(kind, x.shape[axis:], x, options)
    if node.op_type == "MeanVarianceNormalization":  # over all but the channels
        options = {"eps": 1e-18, "affine": False, "track_running_stats": False}
        return make_norm("batchnorm", x.shape[1], **options), x.shape
    if node.op_type == "GroupNormalization":
        layer = make_norm("groupnorm", x.shape[1], num_groups=given["num_groups"], **options)
        return layer, x.shape
    if node.op_type == "InstanceNormalization":
        return make_norm("instancenorm", x.shape[1], **options), x.shape
    layer = make_norm("batchnorm", x.shape[1], momentum=1 - given.get("momentum", 0.9), **options)
    layer.running_mean.copy_(parameters[2])
    layer.running_var.copy_(parameters[3])
    return layer.train(bool(given.get("training_mode", 0))), x.shape


def test_the_cases_of_onnx(cases):
    for case in cases:
        inputs, outputs = case.data_sets[0]
        x, *parameters = (torch.from_numpy(value).clone() for value in inputs)
        wanted, *statistics = (torch.from_numpy(value).clone() for value in outputs)
        layer, shape = layer_of(case, x, parameters)
        with torch.no_grad():
            for name, value in zip(("weight", "bias"), parameters, strict=False):
                getattr(layer, name).copy_(value.view(getattr(layer, name).shape))
            before = layer.state_dict()["running_var"].clone() if len(parameters) == 4 else None
            y = layer(x.view(shape)).view(x.shape)
        torch.testing.assert_close(y, wanted, rtol=1e-3, atol=1e-5, msg=case.name)
        if layer.training and before is not None:
            torch.testing.assert_close(layer.running_mean, statistics[0], rtol=1e-3, atol=1e-5)
            # ONNX keeps the variance that is divided by n, we and torch that by n - 1.
            n = x.numel() // x.shape[1]
            biased = before * 0.9 + (layer.running_var - before * 0.9) * (n - 1) / n
            torch.testing.assert_close(biased, statistics[1], rtol=1e-3, atol=1e-5)
    counts = Counter(case.model.graph.node[0].op_type for case in cases)
    assert counts.keys() == COUNT.keys()
    if version("onnx").startswith("1.23."):  # each has its own cases
        assert counts == COUNT
