"""Which tensor became part of which other in one forward pass.

So it is known where norms stand, without reading any model's code.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from normlab.tools.forward_pass import by_position, tensors_in

# Functions and methods of tensors by `__name__`, which is that of the method for an operator.
_WEIGHTED = {
    *("linear", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "einsum"),
    *("addmm", "baddbmm", "bmm", "mm", "matmul", "__matmul__", "_grouped_mm", "grouped_mm"),
}
_NORMS = {"layer_norm", "rms_norm", "group_norm", "instance_norm", "batch_norm", "normalize"}
_SUMS = {"add", "add_", "__add__", "__radd__", "__iadd__"}
_SCALED = {
    *("mul", "mul_", "__mul__", "__rmul__", "__imul__"),
    *("div", "div_", "__truediv__", "__itruediv__"),
}
_PASSED_ON = {
    *("to", "float", "contiguous", "clone", "dropout"),
    *("reshape", "flatten", "transpose", "permute"),
}


@dataclass
class _Node:
    """A tensor's content. Sets of nodes are integers, bit i for node i: there are thousands."""

    index: int
    size: int
    ancestors: int = 0  # what it was computed from
    terms: int = 0  # what it is a sum of, scaled or not, itself included
    weight: bool = False  # parameters and what follows from them alone
    raw: bool = False  # some operation with a weight reaches it past every norm
    late: bool = False  # some operation with a weight reaches it

    @property
    def bit(self) -> int:
        return 1 << self.index


class NormUse(NamedTuple):
    """A call of a norm layer: its name, and the nodes that it reads and makes."""

    name: str
    before: int
    after: int


class Residual(NamedTuple):
    """skip + branch = total, nodes of one size.

    The branch has an operation with a weight that reads `source`, a term of the skip.
    """

    skip: int
    branch: int
    source: int
    total: int


class TensorGraph(TorchFunctionMode):
    """While it is entered, notes what happens in the calls of `model`.

    Content is known by address, size and version of a tensor's memory, so that views, and dropout
    in eval mode, are no step.

    Args:
        norms: by name; each call of one counts as one step.
    """

    def __init__(self, model: nn.Module, norms: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.nodes: list[_Node] = []
        self.norms: list[NormUse] = []
        self.residuals: list[Residual] = []
        self.functional = 0  # norms that are no layer but a function's call
        # Of each operation with a weight, but those that come first: does it read normed values
        # only?
        self.operations: list[bool] = []
        self._known: dict[Any, _Node] = {}
        self._alive: list[Tensor] = []  # so that no address is used again
        self._weighted = 0  # the set of what operations with a weight gave
        self._depth = 0  # of calls of norms
        for parameter in model.parameters():
            self._add(parameter, [], weight=True)
        self._hooks = []
        for name, module in norms.items():
            self._hooks.append(module.register_forward_pre_hook(self._enter_norm))
            leave = partial(self._leave_norm, name)
            self._hooks.append(module.register_forward_hook(leave, with_kwargs=True))

    def remove_hooks(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._depth:
            return func(*args, **kwargs)
        given = list(tensors_in((args, kwargs)))
        # Read before the call: an operation in place keeps the address and raises the version.
        before = [_content(tensor) for tensor in given]
        result = func(*args, **kwargs)
        changed = [t for t, content in zip(given, before, strict=True) if _content(t) != content]
        for tensor in (*tensors_in(result), *changed):
            content = _content(tensor)
            # What is known already is a view, or what dropout gives in eval mode: no step.
            if content is not None and content not in self._known:
                pairs = zip(given, before, strict=True)
                read = [self._node(t, c) for t, c in pairs if c is not None]
                self._step(func.__name__, tensor, read, args)
        return result

    def _node(self, tensor: Tensor, content: Any) -> _Node:
        return self._known.get(content) or self._add(tensor, [])

    def _add(self, tensor: Tensor, read: list[_Node], **flags: bool) -> _Node:
        node = _Node(len(self.nodes), tensor.numel(), **flags)
        node.terms = node.bit
        for parent in read:
            node.ancestors |= parent.ancestors | parent.bit
        node.late = any(parent.late for parent in read)
        self.nodes.append(node)
        self._known[_content(tensor)] = node
        self._alive.append(tensor)
        return node

    def _step(self, name: str, result: Tensor, read: list[_Node], args: Any) -> None:
        """Notes that the function `name` made `result` of what it read."""
        values = [node for node in read if not node.weight]
        # Transposed, cast or reparametrized weights are weights, and no activations.
        if read and not values:
            self._add(result, read, weight=True)
        # Not raw from here on, as `_add` has it: a norm stands before whatever reads this.
        elif name in _NORMS:
            self.functional += 1
            self._add(result, read)
        # A product of two activations, as attention has, reads no weight and is no operation here.
        elif name == "embedding" or (name in _WEIGHTED and len(values) < len(read)):
            node = self._add(result, read, raw=True)
            # Those that come first read the input itself, and are not counted.
            if any(value.late for value in values):
                self.operations.append(not any(value.raw for value in values))
            node.late = True
            self._weighted |= node.bit
        else:
            node = self._add(result, read, raw=any(value.raw for value in values))
            # With a bias for the other term there is one value only.
            if name in _SUMS and len(values) == 2:
                node.terms |= values[0].terms | values[1].terms
                self._note_residual(values[0], values[1], node)
            # DeepNorm scales its skip, and some blocks their branch: both stay terms of the sum.
            elif name in _PASSED_ON or (name in _SCALED and all(map(_is_number, args[1:]))):
                node.terms |= values[0].terms

    def _note_residual(self, first: _Node, second: _Node, total: _Node) -> None:
        """Notes `total` as a residual sum, if one of its two terms is a branch of the other."""
        # Code writes x + f(x) as well as f(x) + x.
        for skip, branch in ((first, second), (second, first)):
            source = self._source(skip, branch)
            # Of other sizes it is a mask, and without a weight before it a bias of positions.
            if source is not None and skip.late and skip.size == branch.size:
                self.residuals.append(Residual(skip.index, branch.index, source, total.index))
                return

    def _source(self, skip: _Node, branch: _Node) -> int | None:
        """The last term of `skip` that `branch` reads through an operation with a weight."""
        reached = 0
        operations = (branch.ancestors | branch.bit) & self._weighted
        for index in _members(operations):
            reached |= self.nodes[index].ancestors
        # Nodes are numbered as they are made, so that the highest bit is the latest.
        common = skip.terms & reached
        return common.bit_length() - 1 if common else None

    def _enter_norm(self, module: nn.Module, args: Any) -> None:
        self._depth += 1

    def _leave_norm(
        self, name: str, module: nn.Module, args: Any, keywords: Any, result: Tensor
    ) -> None:
        # Whatever the layer did inside was not noted: its call is one step.
        self._depth -= 1
        x = next(tensors_in(by_position(module, args, keywords)))
        read = self._node(x, _content(x))
        self.norms.append(NormUse(name, read.index, self._add(result, [read]).index))

    def placements(self) -> tuple[list[str], list[frozenset[str]]]:
        """The role of each norm used, and where each residual sum has norms: see NormPlacement."""
        skips = 0
        for residual in self.residuals:
            skips |= self.nodes[residual.skip].terms
        around: list[set[str]] = [set() for _ in self.residuals]
        roles = [self._role(norm, skips, around) for norm in self.norms]
        for k, residual in enumerate(self.residuals):
            # Nothing is added to the last sum of a stack: a norm of it belongs to the block if the
            # others' do.
            if k and not skips >> residual.total & 1 and "after sum" in around[k - 1]:
                around[k].add("after sum")
        return roles, [frozenset(where) for where in around]

    def _role(self, norm: NormUse, skips: int, around: list[set[str]]) -> str:
        """The role of a norm, which is added to each residual sum that it belongs to.

        skips: the terms of every skip. around: for each residual sum, the roles of its norms.
        """
        after_sum = any(residual.total == norm.before for residual in self.residuals)
        role = "last" if after_sum else "inner"
        # What it gives is a term of some skip: it stands on the stream itself, not in a branch.
        if skips >> norm.after & 1:
            role = "after sum" if after_sum else "embedding"
        for where, residual in zip(around, self.residuals, strict=True):
            branch = self.nodes[residual.branch]
            if norm.before == residual.total and role == "after sum":
                where.add(role)
            elif branch.terms >> norm.after & 1:
                role = "after branch"
                where.add(role)
            # Norms of queries and keys lie in the branch, too; only one of the stream counts.
            elif norm.before == residual.source and branch.ancestors >> norm.after & 1:
                role = "before"
                where.add(role)
        return role


def _content(tensor: Tensor) -> Any:
    """What tells a tensor's content from others'; None for wrappers that have no memory."""
    try:
        return tensor.data_ptr(), tensor.numel(), tensor.dtype, tensor._version
    except RuntimeError:
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, Tensor) and value.numel() == 1)


def _members(bits: int) -> Iterator[int]:
    """The bits that are set, as indices, the highest first."""
    while bits:
        highest = bits.bit_length() - 1
        yield highest
        bits ^= 1 << highest
