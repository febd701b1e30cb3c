"""Whether a checkpoint that somebody passes in fits, said in a sentence where it does not."""

from pathlib import Path

from normlab.checkpoint import read_checkpoint
from normlab.errors import NormLabError
from normlab.training.task import Task


def check_checkpoint(path: Path, task: Task) -> None:
    """Raises NormLabError if the checkpoint's tensors are not those of `task`'s model."""
    saved = {name: tuple(value.shape) for name, value in read_checkpoint(path)["state_dict"].items()}
    wanted = {name: tuple(value.shape) for name, value in task.state_dict().items()}
    differing = sorted(name for name in saved.keys() | wanted.keys() if saved.get(name) != wanted.get(name))
    if differing:
        name = differing[0]
        raise NormLabError(
            f"trainer.resume={path}: a checkpoint of another architecture: {name} is "
            f"{saved.get(name, 'not there')} in it and {wanted.get(name, 'not there')} here; "
            "pass the model and norm that it was trained with."
        )
