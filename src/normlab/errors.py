"""The one exception that a person is meant to read."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn

# Modules that only an extra of this package installs, and the smallest extra that does.
EXTRA_OF = {
    "typer": "cli",
    "rich": "cli",
    "scipy": "cli",
    "torchvision": "train",
    "lightning": "train",
    "hydra": "train",
    "omegaconf": "train",
    "hydra_plugins": "train",
    "joblib": "train",
    "sklearn": "train",
    "PIL": "train",
    "datasets": "train",
    "wandb": "train",
    "tensorboard": "train",
    "jinja2": "train",
    "markupsafe": "train",
    "matplotlib": "train",
    "ray": "ray",
    "submitit": "submitit",
    "timm": "models",
    "transformers": "models",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "onnxruntime": "onnx",
    "wandb_workspaces": "dashboard",
}


class NormLabError(ValueError):
    """Bad input, said in one sentence that names the valid choices.

    `train.py` and `normlab` print the message without a traceback and exit with a non-zero status.
    Everything else that is raised is a bug of ours and keeps its traceback.
    """


def choices(what: str, given: object, valid: Iterable[object]) -> NormLabError:
    """The sentence for a name that is not known: `unknown norm 'foo': choose one of a, b, c.`"""
    return NormLabError(f"unknown {what} {given!r}: choose one of {', '.join(map(str, valid))}.")


def refuse(sentence: object) -> NoReturn:
    """Print the sentence and exit with status 2."""
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)


def interrupted(kept: str) -> NoReturn:
    """After Ctrl-C: say what is kept and how to go on, and exit with the status of that signal."""
    print(f"interrupted: {kept}", file=sys.stderr)
    sys.exit(130)


@contextmanager
def extras_named() -> Iterator[None]:
    """Inside, an import that needs an extra of this package says which one.

    Raises:
        NormLabError: a module is not installed that an extra of this package brings.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRA_OF:
            raise
        extra = EXTRA_OF[module]
        raise NormLabError(
            f"this needs {module}, which is not installed: run pip install 'normlab[{extra}]', "
            "or 'normlab[all]' for everything."
        ) from None
