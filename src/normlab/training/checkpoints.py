"""Reading and checking a checkpoint that somebody passes in: safely, and without importing lightning."""

import pickle
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from normlab.errors import NormLabError

if TYPE_CHECKING:
    from normlab.training.task import Task


def read_checkpoint(path: Path, given_as: str = "trainer.resume=") -> dict[str, Any]:
    """The checkpoint at `path`, tensors and plain values only (`weights_only=True`: no code in it is run).

    Raises:
        NormLabError: no such file, or not a checkpoint of `train.py`.
    """
    if not path.is_file():
        raise NormLabError(
            f"{given_as}{path}: there is no such file; train.py writes last.ckpt into its run directory."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # about pickle protocols; what cannot be read is refused below
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint["normlab"], checkpoint["state_dict"]
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        OSError,
    ):
        raise NormLabError(
            f"{given_as}{path}: not a checkpoint that train.py wrote, or a damaged one."
        ) from None
    return checkpoint


def check_checkpoint(path: Path, task: "Task") -> None:
    """Raises NormLabError if the checkpoint's tensors are not those of `task`'s model."""
    saved = {
        name: tuple(value.shape) for name, value in read_checkpoint(path)["state_dict"].items()
    }
    wanted = {name: tuple(value.shape) for name, value in task.state_dict().items()}
    differing = sorted(
        name for name in saved.keys() | wanted.keys() if saved.get(name) != wanted.get(name)
    )
    if differing:
        name = differing[0]
        raise NormLabError(
            f"trainer.resume={path}: a checkpoint of another architecture: {name} is "
            f"{saved.get(name, 'not there')} in it and {wanted.get(name, 'not there')} here; "
            "pass the model and norm that it was trained with."
        )
