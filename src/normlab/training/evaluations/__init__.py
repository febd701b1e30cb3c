"""Evaluations of a trained network beyond its own: the same weights under other conditions, without training again.

`evaluations=[statistics]` adds the metrics of each to the record. Every one works on a copy of the model. Torch-free.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from normlab.training.task import Task

# Which module of this folder has the function of that name, `function(task) -> {metric: value}`. Named, so that a
# trial depends on the code of its own evaluations only.
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


def evaluation(name: str, task: "Task") -> dict[str, float]:
    """The metrics of the evaluation `name`, one of `MODULES`."""
    module = importlib.import_module(f"normlab.training.evaluations.{MODULES[name]}")
    return getattr(module, name)(task)
