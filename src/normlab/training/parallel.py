"""Training by several processes: joining them, what Lightning needs to know, and being alone again."""

import datetime
import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from normlab.errors import NormLabError
from normlab.norms.sync_batch import SyncBatchNorm
from normlab.training.processes import backend_of, under_torchrun, wait_of


@dataclass(frozen=True)
class Place:
    """This process among those that train together."""

    rank: int = 0
    world_size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes, prints and evaluates."""
        return self.rank == 0


def join(cfg: Any) -> Place:
    """Enter the process group of `trainer.devices` processes, which train.py or torchrun has started.

    Raises NormLabError where there are not so many processes or GPUs.
    """
    count = 1 if cfg.devices is None else cfg.devices
    started = int(os.environ["WORLD_SIZE"]) if under_torchrun() else None
    if count < 1:
        raise NormLabError(f"trainer.devices={count}: give a whole number of at least 1.")
    if not wait_of(cfg) > 0:
        raise NormLabError(f"trainer.timeout_s={cfg.timeout_s}: give a number above 0.")
    if started is not None and started != count:
        raise NormLabError(
            f"torchrun has started {started} processes: pass trainer.devices={started}."
        )
    if count == 1:
        return Place()
    if cfg.accelerator.value == "gpu" and torch.cuda.device_count() < count:
        raise NormLabError(
            f"trainer.devices={count}: {torch.cuda.device_count()} GPUs are visible here, one is needed for each."
        )
    if not dist.is_initialized():
        if started is None:
            raise NormLabError(
                f"trainer.devices={count} needs as many processes: start them by train.py or torchrun."
            )
        dist.init_process_group(backend_of(cfg), timeout=datetime.timedelta(seconds=wait_of(cfg)))
    if cfg.accelerator.value == "gpu":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return Place(dist.get_rank(), dist.get_world_size())


def trainer_options(place: Place, cfg: Any) -> dict[str, Any]:
    """Keywords of Lightning's Trainer for training in the group that this process has joined."""
    if place.world_size == 1:
        return {"devices": 1}
    from lightning.pytorch.plugins.environments import TorchElasticEnvironment
    from lightning.pytorch.strategies import DDPStrategy

    # Where there is SLURM, Lightning would take its variables for those of this group.
    return {
        "devices": place.world_size,
        "strategy": DDPStrategy(process_group_backend=backend_of(cfg)),
        "plugins": [TorchElasticEnvironment()],
        "use_distributed_sampler": False,
    }


def part(model: nn.Module) -> None:
    """Leave the group, when all have trained: what the first process measures from now on, it measures alone."""
    if not dist.is_initialized():
        return
    dist.barrier()
    dist.destroy_process_group()
    for layer in model.modules():
        if isinstance(layer, SyncBatchNorm):
            layer.fallback = True
