"""Evaluations of a trained network beyond its own: the same weights under other conditions.

`evaluations=[statistics]` adds the metrics of each to the record. Nothing is trained again, and
every one works on a copy of the model. Torch-free at import.
"""

import importlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from normlab.errors import NormLabError

if TYPE_CHECKING:
    from normlab.training.setup import Setup

# Which module of this folder has the function of that name, `function(setup) -> {metric: value}`.
# Named, so that a trial depends on the code of its own evaluations only.
MODULES = {
    "accumulation": "batching",
    "adaptation": "shift",
    "contrast": "reevaluation",
    "corruptions": "shift",
    "precise": "reevaluation",
    "statistics": "reevaluation",
    "stream": "stream",
    "styles": "shift",
    "train_mode": "batching",
    "twice_context": "lengths",
    "whole_test": "reevaluation",
}

# What these do to inputs, only images can be done to.
_OF_IMAGES = {"accumulation", "adaptation", "contrast", "corruptions", "train_mode"}


def check_evaluations(names: Iterable[str], modality: str) -> None:
    """Return if each evaluation can be had of data of `modality`: asked before the training.

    Raises:
        NormLabError: one of them is for images alone.
    """
    refused = sorted(_OF_IMAGES.intersection(names)) if modality != "image" else []
    if refused:
        others = ", ".join(sorted(MODULES.keys() - _OF_IMAGES))
        raise NormLabError(
            f"evaluations=[{refused[0]}] is for images, and these data are {modality}: "
            f"choose some of {others}."
        )


def evaluation(name: str, setup: "Setup") -> dict[str, float]:
    """The metrics of the evaluation `name`, one of `MODULES`, of the trained network of `setup`."""
    module = importlib.import_module(f"normlab.training.evaluations.{MODULES[name]}")
    measure: Callable[[Setup], dict[str, float]] = getattr(module, name)
    return measure(setup)
