"""Copies of a network that forward passes run on, and that leave no trace."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from normlab.errors import NormLabError


def replica(model: nn.Module) -> nn.Module:
    """A deep copy of `model`.

    Tensors that it keeps with their history, as a list of losses does, go along without it: torch
    copies no others.

    Raises:
        NormLabError: it keeps something else that cannot be copied.
    """
    try:
        without_history: dict[int, Any] = {}
        for module in model.modules():
            # Lists and dictionaries too: a list of losses, say.
            for value in tree_leaves(vars(module)):
                if isinstance(value, Tensor) and not value.is_leaf:
                    without_history[id(value)] = value.detach().clone()
        # By `deepcopy`'s memo: what it finds there under an id it takes for the copy.
        return copy.deepcopy(model, without_history)
    except Exception as error:  # anything may be kept in a module
        raise NormLabError(
            f"the model cannot be copied ({type(error).__name__}: {error}): give the part of it "
            "that holds the norms, or take what cannot be copied off it."
        ) from error


def refuse_sharded(model: nn.Module) -> None:
    """Raises NormLabError for a model wrapped by FSDP, whose layers hold parts of their tensors.

    Of either version, by the names of classes: importing FSDP takes longer than most audits.
    """
    names: set[str] = set()
    for module in model.modules():
        names.update(cls.__name__ for cls in type(module).__mro__)
    # FSDP 1 keeps one flat parameter per wrapped module; FSDP 2 changes the class of the module.
    flat = any(getattr(parameter, "_is_flat_param", False) for parameter in model.parameters())
    if flat or names & {"FullyShardedDataParallel", "FSDPModule"}:
        raise NormLabError(
            "the model is wrapped by FSDP, and its layers hold parts of their tensors: "
            "audit it before it is wrapped."
        )


@contextmanager
def quiet(model: nn.Module) -> Iterator[None]:
    """No gradients, and the random state of the CPU and of the model's GPUs stays as it is."""
    tensors = chain(model.parameters(), model.buffers())
    gpus = sorted({tensor.device.index for tensor in tensors if tensor.is_cuda})
    with torch.no_grad(), torch.random.fork_rng(devices=gpus):
        yield
