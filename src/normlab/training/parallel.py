"""Training by several processes: joining them, and being alone again. Without lightning."""

import datetime
import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

from normlab.config.schema import Accelerator, TrainerConfig
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


ALONE = Place()


def join_group(cfg: TrainerConfig) -> Place:
    """Enter the group of `cfg.devices` processes, which train.py or torchrun has started.

    Raises:
        NormLabError: there are not so many processes or GPUs.
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
        return ALONE
    on_gpus = cfg.accelerator is Accelerator.gpu
    if on_gpus and torch.cuda.device_count() < count:
        raise NormLabError(
            f"trainer.devices={count}: {torch.cuda.device_count()} GPUs are visible here, one is "
            "needed for each."
        )
    # train.py's own processes join before they come here; torchrun's join now.
    if not dist.is_initialized():
        if started is None:
            raise NormLabError(
                f"trainer.devices={count} needs as many processes: start them by train.py or "
                "torchrun."
            )
        dist.init_process_group(backend_of(cfg), timeout=datetime.timedelta(seconds=wait_of(cfg)))
    if on_gpus:
        # Before anything is put on a device: NCCL wants one GPU for each process.
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return Place(dist.get_rank(), dist.get_world_size())


def leave_group(model: nn.Module) -> None:
    """Be alone again, once all have trained: what the first process measures now is its own."""
    if not dist.is_initialized():
        return
    # Nobody leaves while another still waits for its message.
    dist.barrier()
    dist.destroy_process_group()
    for layer in model.modules():
        if isinstance(layer, SyncBatchNorm):
            # Without a group it would refuse to run in train mode, as some evaluations want it to.
            layer.fallback = True
