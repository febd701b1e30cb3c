"""What the checks of an audit look at: a network, its norm layers, how it is trained, and what reaches the norms."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from normlab.errors import NormLabError
from normlab.measured_norms import HOOKS
from normlab.model_calls import call
from normlab.recognition import NormLayer, find_norms


@dataclass
class Subject:
    """A network that is audited. Its checks change nothing of it: forward passes run on copies.

    sample_batch: what the network is called with (a tensor, a tuple of arguments, keywords), or None.
    """

    model: nn.Module
    sample_batch: Any
    world_size: int
    batch_per_device: int | None
    norms: list[NormLayer] = field(init=False)

    def __post_init__(self) -> None:
        self.norms = find_norms(self.model)
        first = next((value for value in _tensors(self.sample_batch) if value.ndim > 0), None)
        if self.batch_per_device is None and first is not None:
            self.batch_per_device = len(first)

    @property
    def batch_norms(self) -> list[NormLayer]:
        return [norm for norm in self.norms if norm.is_batch_norm]

    @property
    def live(self) -> list[NormLayer]:
        return [norm for norm in self.norms if norm.is_live]

    def samples(self, norm: NormLayer) -> int | None:
        """How many samples share the statistics of a live batch norm; None if nobody said how large batches are."""
        if self.batch_per_device is None:
            return None
        synchronized = norm.kind == "syncbatchnorm"
        total = self.batch_per_device * (self.world_size if synchronized else 1)
        return min(getattr(norm.module, "ghost_batch", None) or total, total)

    def copy(self) -> nn.Module:
        """In eval mode, without the hooks on its calls."""
        model = copy.deepcopy(self.model).eval()
        for module in model.modules():
            for name in HOOKS & set(vars(module)):
                vars(module)[name].clear()
        return model

    @cached_property
    def inputs(self) -> dict[str, Tensor]:
        """The first input of each norm, by name, in a forward pass of the sample batch in eval mode; {} without one."""
        seen: dict[str, Tensor] = {}
        if self.sample_batch is None:
            return seen

        def keep(name: str) -> Callable[[nn.Module, Any], None]:
            def hook(module: nn.Module, args: Any) -> None:
                if args and isinstance(args[0], Tensor):
                    seen.setdefault(name, args[0].detach())

            return hook

        model = self.copy()
        for norm in self.norms:
            model.get_submodule(norm.names[0]).register_forward_pre_hook(keep(norm.name))
        with quiet():
            try:
                call(model, self.sample_batch)
            except Exception as error:
                raise NormLabError(
                    f"the model cannot be called with sample_batch ({type(error).__name__}: {error}): pass what its "
                    "forward takes, a tensor, a tuple of arguments or a dict of keywords."
                ) from error
        return seen


@contextmanager
def quiet() -> Iterator[None]:
    """No gradients, and the random state is as it was afterwards."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        yield


def _tensors(batch: Any) -> Iterator[Tensor]:
    values = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, tuple | list) else [batch]
    yield from (value for value in values if isinstance(value, Tensor))
