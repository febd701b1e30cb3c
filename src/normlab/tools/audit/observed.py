"""What training itself shows: what a step does to running statistics, and modes that change."""

from collections.abc import Iterator

from torch import nn

from normlab.tools.audit import modes, recomputation
from normlab.tools.audit.finding import Finding
from normlab.tools.audit.recomputation import averaging, running_means
from normlab.tools.norm_layers import NormLayer, find_norms


class ObservedTraining:
    """Looks at the batch norms of `model` before each step, and around the first backward pass."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._norms = [norm for norm in find_norms(model) if norm.is_batch_norm]
        self._averaging = averaging([norm for norm in self._norms if norm.is_live])
        self._start = running_means(self._averaging, model)
        self._between = self._start
        self._steps, self._backward_passes = 0, 0
        self._in_eval_mode: dict[str, list[bool]] = {}  # by norm: what learned when it was seen so

    def step_begins(self) -> Iterator[Finding]:
        """What an earlier step had in eval mode, and this one has not."""
        self._steps += 1
        undone = []
        for norm in self._norms:
            if not norm.is_live:
                self._in_eval_mode[norm.name] = _learns(norm)
            # What is to learn from now on has been set free on purpose.
            elif self._in_eval_mode.pop(norm.name, None) == _learns(norm):
                undone.append(norm)
        if undone:
            yield modes.eval_undone(undone)

    @property
    def _in_first_pass(self) -> bool:
        return self._steps == 1 and self._backward_passes == 0

    def backward_begins(self) -> None:
        if self._in_first_pass:
            self._between = running_means(self._averaging, self._model)

    def backward_ends(self) -> Iterator[Finding]:
        """Statistics that the backward pass has moved as the forward pass had before."""
        if self._in_first_pass:
            end = running_means(self._averaging, self._model)
            yield from recomputation.findings(self._averaging, self._start, self._between, end)
        self._backward_passes += 1


def _learns(norm: NormLayer) -> list[bool]:
    return [parameter.requires_grad for parameter in norm.module.parameters()]
