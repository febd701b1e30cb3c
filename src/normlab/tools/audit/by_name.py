"""Audits of models that are named: by a library's name, or by a checkpoint of train.py."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from normlab.tools.audit import audit
from normlab.tools.audit.finding import Audit
from normlab.tools.audit.inputs import NotCallable
from normlab.tools.zoo import build_named, sample_inputs

SAMPLES = 16  # at most, in the batch that a model built by name is looked at with
NEEDS_SAMPLE = "distances of running statistics, leaks and groups of one value"


def audit_by_name(
    name: str,
    world_size: int = 1,
    batch_per_device: int | None = None,
    dataset_size: int | None = None,
    *,
    training: bool = True,
) -> Audit:
    """The findings in a model built by name, or in the one of a checkpoint.

    The first is called with random input, the second with its test data.

    batch_per_device: None means 16, or the batch size that the checkpoint was trained with.
    dataset_size: of an epoch, for models by name; train.py's epochs have full batches alone.

    Raises:
        NormLabError: no such model or checkpoint.
    """
    # A checkpoint that is missing gets its own sentence, not that of unknown models.
    if name.endswith(".ckpt") or Path(name).is_file():
        return _audit_checkpoint(Path(name), world_size, batch_per_device, training)
    model = build_named(name)
    size = SAMPLES if batch_per_device is None else batch_per_device
    # Two samples at least: one says nothing of what a norm does between samples.
    inputs = sample_inputs(name, model, min(max(size, 2), SAMPLES))
    look = partial(
        audit,
        model.train(training),
        world_size=world_size,
        dataset_size=dataset_size,
        batch_per_device=size,
    )
    return _audit_named(look, inputs)


def _audit_checkpoint(
    path: Path, world_size: int, batch_per_device: int | None, training: bool
) -> Audit:
    from normlab.training.trained_model import configuration, load_trained

    model, data = load_trained(path)
    size = batch_per_device
    if size is None:
        # Findings on small batches are about training: the batch that it was trained with.
        size = configuration(path).data.batch_size
    x, _ = next(iter(data.eval_batches("test")))
    return audit(model.train(training), x[: 4 * SAMPLES], world_size, size)


def _audit_named(look: Callable[[Any], Audit], inputs: Any) -> Audit:
    """With the inputs that were made up for the model, and without them where it takes others."""
    reason = "nothing says what the model takes"
    if inputs is not None:
        try:
            return look(inputs)
        except NotCallable as error:
            shape = getattr(inputs, "shape", None)
            names = f"input of shape {tuple(shape)}" if shape else ", ".join(inputs)
            cause = error.__cause__
            first_line = str(cause).partition("\n")[0]
            reason = (
                f"the model does not take random {names} ({type(cause).__name__}: {first_line})"
            )
    # Other findings need no sample, and should not be lost with it.
    findings = look(None)
    return replace(findings, notes=(f"{NEEDS_SAMPLE}: {reason}", *findings.notes))
