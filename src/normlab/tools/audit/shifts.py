"""Where a constant per channel goes in a network, as torch.fx traces it."""

import operator
from numbers import Real
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from normlab.tools.fold.call_graph import CallGraph, is_layer

# Of two tensors: a constant per channel in one of them is one in the result.
_SUMS = {
    *(operator.add, operator.iadd, operator.sub, operator.isub, torch.add, torch.sub),
    *("add", "add_", "sub", "sub_"),
}
_PRODUCTS = {operator.mul, operator.truediv, torch.mul, torch.div, "mul", "div"}
_WRITING = {operator.iadd, operator.isub, "add_", "sub_"}
# What is read of a tensor here is not its values.
_SIZES = {"shape", "dtype", "device", "ndim"}
_SIZE_METHODS = {"size", "dim", "ndimension", "new_empty", "new_zeros", "new_ones"}
# Each output is an average, a largest value or a copy of inputs in one channel.
_POOLS = (
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
    *(nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d),
)
_AVERAGES = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
_POOLING = {F.interpolate, F.adaptive_avg_pool2d, F.adaptive_max_pool2d, F.max_pool2d}
_CONCATENATIONS = {torch.cat, torch.concat, torch.concatenate}


class Shifts:
    """Which batch norms take back what is added to a channel as a whole.

    Each subtracts the mean of a channel, and with it whatever is the same for all samples and all
    positions.

    subtracting: paths of the batch norms that do so.
    """

    def __init__(self, graph: CallGraph, subtracting: set[str]) -> None:
        self.graph = graph
        self.subtracting = subtracting
        # None: something else reads it. From the last call to the first, so that what becomes of
        # the output of each user is known.
        self._ends: dict[fx.Node, frozenset[str] | None] = {}
        for node in reversed(graph.nodes):
            self._ends[node] = self._ends_of(node)

    def taken_back_by(self, node: fx.Node) -> frozenset[str]:
        """The batch norms that a constant added to each channel of `node`'s output reaches.

        Nothing where something else reads it, or nobody does.
        """
        return self._ends[node] or frozenset()

    def _ends_of(self, node: fx.Node) -> frozenset[str] | None:
        names: frozenset[str] = frozenset()
        for user in node.users:
            if _reads_no_values(user):
                continue
            if user.op == "call_module" and str(user.target) in self.subtracting:
                names |= {str(user.target)}
                continue
            # Written into, the tensor is another one for whoever reads it later.
            written = user.target in _WRITING and user.args[0] is node and len(node.users) > 1
            ends = self._ends[user] if self._keeps(user) and not written else None
            if ends is None:
                return None
            names |= ends
        # The output of the network has no users, and is read.
        return None if node.op == "output" else names

    def _keeps(self, node: fx.Node) -> bool:
        """Whether a constant per channel of an input is a constant per channel of the output."""
        if node.op == "call_module":
            module = self.graph.modules[str(node.target)]
            return self.graph.passes_on(node) or _module_keeps(module)
        if node.target in _SUMS or node.target in _POOLING:
            return True
        # By a number: a tensor, as stochastic depth draws one, may differ from sample to sample.
        if node.target in _PRODUCTS:
            return len(node.args) == 2 and any(isinstance(factor, Real) for factor in node.args)
        return node.target in _CONCATENATIONS and _argument(node, 1, "dim", 0) == 1


def _reads_no_values(node: fx.Node) -> bool:
    if node.op == "call_method":
        return node.target in _SIZE_METHODS
    return node.target is getattr and node.args[1] in _SIZES


def _module_keeps(module: nn.Module) -> bool:
    if is_layer(module):
        return _layer_keeps(module)
    if isinstance(module, _AVERAGES):
        # Zeros around the edges would be averaged in.
        return not _any_padding(module.padding) or not getattr(module, "count_include_pad", True)
    if isinstance(module, nn.Flatten):
        return module.start_dim == 1
    return isinstance(module, _POOLS) and not getattr(module, "return_indices", False)


def _layer_keeps(module: nn.Module) -> bool:
    """Whether every output of a layer is made of as many inputs as any other in its channel."""
    if not isinstance(module, _ConvNd):
        return True
    if isinstance(module, _ConvTransposeNd):
        return False
    return module.padding_mode != "zeros" or not any(module._reversed_padding_repeated_twice)


def _any_padding(padding: Any) -> bool:
    return any(padding) if isinstance(padding, tuple) else bool(padding)


def _argument(node: fx.Node, position: int, name: str, default: Any) -> Any:
    """An argument of a call, given by position or by keyword."""
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)
