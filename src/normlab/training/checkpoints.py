"""Reading and checking a checkpoint that somebody passes in: safely, and without lightning."""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from normlab.errors import NormLabError


def read_checkpoint(path: Path, given_as: str = "trainer.resume=") -> dict[str, Any]:
    """The checkpoint at `path`, tensors and plain values only: no code in it is run.

    Raises:
        NormLabError: no such file, or not a checkpoint of `train.py`.
    """
    if not path.is_file():
        raise NormLabError(
            f"{given_as}{path}: there is no such file; train.py writes last.ckpt into its run "
            "directory."
        )
    try:
        with warnings.catch_warnings():
            # About pickle protocols; what cannot be read is refused below.
            warnings.simplefilter("ignore")
            checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        # Looked up for the error: torch reads files that train.py did not write, too.
        int(checkpoint["normlab"]["step"])
        _shapes(checkpoint["state_dict"])
    except Exception:  # a damaged file can end in any of them, from wherever it is read on
        raise NormLabError(
            f"{given_as}{path}: not a checkpoint that train.py wrote, or a damaged one."
        ) from None
    return checkpoint


def check_checkpoint(path: Path, task: nn.Module, steps: int) -> int:
    """How many steps the checkpoint has behind it, if `task` can go on from there to `steps`.

    Raises:
        NormLabError: its tensors are of another model or norm, or it is beyond `steps`; or it
            cannot be read.
    """
    checkpoint = read_checkpoint(path)
    done: int = checkpoint["normlab"]["step"]
    if done > steps:
        raise NormLabError(
            f"trainer.resume={path}: a checkpoint after {done} steps, more than the {steps} of "
            "this run: pass the budget that it was trained with."
        )
    saved = _shapes(checkpoint["state_dict"])
    wanted = _shapes(task.state_dict())
    # The first difference makes the sentence: torch's own error would list every tensor.
    for name in sorted(saved.keys() | wanted.keys()):
        if saved.get(name) != wanted.get(name):
            raise NormLabError(
                f"trainer.resume={path}: a checkpoint of another architecture: {name} is "
                f"{saved.get(name, 'not there')} in it and {wanted.get(name, 'not there')} here; "
                "pass the model and norm that it was trained with."
            )
    return done


def _shapes(state: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}
