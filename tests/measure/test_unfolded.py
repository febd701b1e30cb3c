"""The counts behind fold-automatic: what a tool leaves is found, and a folded network leaves
nothing to any."""

import pytest
import torch

from normlab.measure.random_networks import BATCH_NORMS, KINDS, random_network
from normlab.measure.unfolded import TOOLS, left_by
from normlab.tools.fold.model import fold

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.filterwarnings("ignore")
QUICK = [tool for tool in TOOLS if tool not in ("ONNX exporter", "torch.export")]


@pytest.mark.parametrize("tool", QUICK)
def test_a_folded_network_leaves_none_and_the_tools_compute_the_same(tool):
    net, x = random_network("linear", 0)
    left, error = left_by(tool, net, x)
    assert 0 <= left <= BATCH_NORMS and error < 1e-5
    assert left_by(tool, fold(net).model, x)[0] == 0


def test_scripting_leaves_all_and_freezing_takes_them():
    net, x = random_network("conv", 0)
    assert left_by("torch.jit.script", net, x)[0] == BATCH_NORMS
    assert left_by("torch.jit.freeze", net, x)[0] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_networks_have_statistics_of_their_own_and_normal_values(kind):
    net, x = random_network(kind, 3)
    again, y = random_network(kind, 3)
    assert torch.equal(net(x), again(y)) and not net.training
    for module in net:
        if hasattr(module, "running_mean"):
            assert module.running_mean.abs().max() > 0.01 and (module.weight != 1).all()
    assert 0.01 < net(x).std() < 100
