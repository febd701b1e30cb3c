"""The device that a training runs on, and how records name it."""

import platform

import torch

from normlab.config.schema import Accelerator, TrainerConfig
from normlab.errors import NormLabError


def device_of(trainer: TrainerConfig) -> torch.device:
    """The device of this process; on the CPU, torch is given its threads.

    Raises:
        NormLabError: no GPU is here, or no thread is asked for.
    """
    if trainer.accelerator is Accelerator.gpu:
        if not torch.cuda.is_available():
            raise NormLabError("trainer=gpu: no CUDA device is visible here; pass trainer=cpu.")
        return torch.device("cuda", torch.cuda.current_device())
    if trainer.threads < 1:
        raise NormLabError(f"trainer.threads={trainer.threads}: give a whole number of at least 1.")
    torch.set_num_threads(trainer.threads)
    return torch.device("cpu")


def device_name(device: torch.device, count: int) -> str:
    """As records name it: `cpu (x86_64, 1 thread)`, or with several processes `2 x NVIDIA ...`."""
    times = f"{count} x " if count > 1 else ""
    if device.type == "cuda":
        return times + torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{times}cpu ({platform.machine()}, {threads} thread{'s' * (threads > 1)})"


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
