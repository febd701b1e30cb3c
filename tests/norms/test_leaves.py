"""Norms as parts of graphs: leaves of torch.fx, pickled under their own names."""

import copy
import io
import pickle

import pytest
import torch
from norm_cases import KIND_LAYOUTS, build, case_id
from torch import fx, nn

import normlab.models.torchvision_operators  # noqa: F401  (before torchvision)
from normlab import convert
from normlab.errors import NormLabError


class Around(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, x):
        return self.norm(x + 1)


@pytest.mark.parametrize(("kind", "layout"), KIND_LAYOUTS, ids=case_id)
def test_a_norm_alone_cannot_be_traced_through(kind, layout):
    with pytest.raises(NormLabError, match="trace the model around it"):
        fx.symbolic_trace(build(kind, layout, {}))


def test_a_norm_keeps_its_class_in_a_file():
    norm = build("groupnorm", "NCHW", {})
    file = io.BytesIO()
    torch.save(norm, file)
    file.seek(0)
    for other in (
        copy.deepcopy(norm),
        pickle.loads(pickle.dumps(norm)),
        torch.load(file, weights_only=False),
    ):
        assert type(other) is type(norm)
        graph = fx.symbolic_trace(Around(other))
        assert any(node.op == "call_module" for node in graph.graph.nodes)


@pytest.mark.parametrize("kind", ["groupnorm", "rmsnorm", "frn", "batchnorm"])
def test_the_features_of_a_converted_resnet(kind):
    import torchvision
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

    resnet = torchvision.models.resnet18(num_classes=4)
    names = get_graph_node_names(resnet)
    model = convert(resnet, kind).model.eval()
    assert get_graph_node_names(model) == names  # as those of torch's norms
    x = torch.randn(2, 3, 40, 40)
    seen = {}
    model.layer1[0].bn2.register_forward_hook(lambda *call: seen.update(y=call[2]))
    logits = model(x)
    features = create_feature_extractor(model, ["layer1.0.bn2", "fc"])(x)
    torch.testing.assert_close(features["layer1.0.bn2"], seen["y"])
    torch.testing.assert_close(features["fc"], logits)


def test_the_norm_of_a_script_says_what_else_there_is():
    with pytest.raises(NormLabError, match=r"use torch\.jit\.trace"):
        torch.jit.script(Around(build("layernorm", "NCHW", {})))
