"""What the checks of an audit look at: a network, its norm layers, how it is trained, and what reaches the norms."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from normlab.errors import NormLabError
from normlab.tools.forward_pass import call
from normlab.tools.hooks import clear_hooks
from normlab.tools.norm_layers import NormLayer, find_norms


class NotCallable(NormLabError):
    """The sample batch is none that the model takes."""


@dataclass
class Subject:
    """A network that is audited. Its checks change nothing of it: forward passes run on copies.

    sample_batch: what the network is called with (a tensor, a tuple of arguments, keywords), or None. evaluated: by a
    trainer, now, whatever mode it is in; else a network in train mode counts as one that is trained. norms are those
    that could be read. notes: what a check could not look for, and why.
    """

    model: nn.Module
    sample_batch: Any
    world_size: int
    batch_per_device: int | None
    evaluated: bool = False
    norms: list[NormLayer] = field(init=False)
    unread: list[NormLayer] = field(init=False)
    notes: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        refuse_sharded(self.model)
        if self.on_meta:
            if self.sample_batch is not None:
                raise NormLabError(
                    "the model is on the meta device, where nothing can be computed: leave out sample_batch, or give "
                    "the model values."
                )
            self.notes.append(
                "what gains and running statistics hold, and eps: the model is on the meta device"
            )
        found = find_norms(self.model)
        self.norms = [norm for norm in found if norm.kind]
        self.unread = [norm for norm in found if not norm.kind]
        first = next((value for value in _tensors(self.sample_batch) if value.ndim > 0), None)
        if self.batch_per_device is None and first is not None and not self.evaluated:
            self.batch_per_device = len(first)

    @property
    def batch_norms(self) -> list[NormLayer]:
        return [norm for norm in self.norms if norm.is_batch_norm]

    @property
    def live(self) -> list[NormLayer]:
        return [norm for norm in self.norms if norm.is_live]

    @property
    def live_batchnorm(self) -> list[NormLayer]:
        """Those of which BatchNorm's records speak, and not those of kinds derived from it."""
        return [norm for norm in self.live if norm.kind in ("batchnorm", "syncbatchnorm")]

    @cached_property
    def on_meta(self) -> bool:
        return any(
            tensor.is_meta for tensor in chain(self.model.parameters(), self.model.buffers())
        )

    def samples(self, norm: NormLayer) -> int | None:
        """How many samples share the statistics of a live batch norm; None if nobody said how large batches are."""
        if self.batch_per_device is None:
            return None
        synchronized = norm.kind == "syncbatchnorm"
        total = self.batch_per_device * (self.world_size if synchronized else 1)
        return min(getattr(norm.module, "ghost_batch", None) or total, total)

    def copy(self) -> nn.Module:
        """In eval mode, without the hooks on its calls."""
        model = replica(self.model).eval()
        for module in model.modules():
            clear_hooks(module)
        return model

    @cached_property
    def inputs(self) -> dict[str, Tensor]:
        """The first input of each norm, by name, in a forward pass of the sample batch in eval mode; {} without one.

        Where a norm refuses groups of one value each, the pass ends there.

        Raises:
            NotCallable: the pass fails anywhere else.
        """
        seen: dict[str, Tensor] = {}
        if self.sample_batch is None:
            return seen
        inside: list[tuple[NormLayer, Tensor]] = []  # the norm that is being called

        def enter(norm: NormLayer) -> Callable[[nn.Module, Any], None]:
            def hook(module: nn.Module, args: Any) -> None:
                if args and isinstance(args[0], Tensor):
                    inside[:] = [(norm, args[0].detach())]
                    seen.setdefault(norm.name, args[0].detach())

            return hook

        def leave(*_: Any) -> None:
            inside.clear()

        model = self.copy()
        for norm in self.norms:
            layer = model.get_submodule(norm.names[0])
            layer.register_forward_pre_hook(enter(norm))
            layer.register_forward_hook(leave)
        with quiet(model):
            try:
                call(model, self.sample_batch)
            except Exception as error:
                if inside and single_values(*inside[0]):
                    norm, x = inside[0]
                    seen[norm.name] = x
                    self.notes.append(
                        f"what reaches the norms after {norm.name}: the forward pass ends there"
                    )
                    return seen
                raise NotCallable(
                    f"the model cannot be called with sample_batch ({type(error).__name__}: {error}): pass what its "
                    "forward takes, a tensor, a tuple of arguments or a dict of keywords."
                ) from error
        return seen


def single_values(norm: NormLayer, x: Tensor) -> int:
    """The number of groups where each holds one value of a sample, else 0."""
    if norm.kind not in ("groupnorm", "instancenorm") or not x.numel():
        return 0
    groups = int(getattr(norm.module, "num_groups", norm.features))
    return (
        groups
        if x[0].numel() == groups and not getattr(norm.module, "track_running_stats", False)
        else 0
    )


def replica(model: nn.Module) -> nn.Module:
    """A deep copy of `model`. Tensors that it keeps with their history, as a list of losses does, go along without it:
    torch copies no others.

    Raises:
        NormLabError: it keeps something else that cannot be copied.
    """
    try:
        kept = (value for module in model.modules() for value in tree_leaves(vars(module)))
        grown = (value for value in kept if isinstance(value, Tensor) and not value.is_leaf)
        return copy.deepcopy(model, {id(value): value.detach().clone() for value in grown})
    except Exception as error:  # anything may be kept in a module
        raise NormLabError(
            f"the model cannot be copied ({type(error).__name__}: {error}): audit the part of it that holds the norms, "
            "or take what cannot be copied off it."
        ) from error


def refuse_sharded(model: nn.Module) -> None:
    """Raises NormLabError for a model wrapped by FSDP, of either version, in which layers hold parts of their tensors.

    By the names of classes: importing FSDP takes longer than most audits.
    """
    names = {cls.__name__ for module in model.modules() for cls in type(module).__mro__}
    flat = any(getattr(parameter, "_is_flat_param", False) for parameter in model.parameters())
    if flat or names & {"FullyShardedDataParallel", "FSDPModule"}:
        raise NormLabError(
            "the model is wrapped by FSDP, and its layers hold parts of their tensors: audit it before it is wrapped."
        )


@contextmanager
def quiet(model: nn.Module) -> Iterator[None]:
    """No gradients, and the random state of the CPU and of the model's GPUs is as it was afterwards."""
    tensors = chain(model.parameters(), model.buffers())
    gpus = sorted({tensor.device.index for tensor in tensors if tensor.is_cuda})
    with torch.no_grad(), torch.random.fork_rng(devices=gpus):
        yield


def _tensors(batch: Any) -> Iterator[Tensor]:
    values = (
        batch.values()
        if isinstance(batch, Mapping)
        else batch
        if isinstance(batch, tuple | list)
        else [batch]
    )
    yield from (value for value in values if isinstance(value, Tensor))
