"""What `normlab audit` prints."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from normlab.tools.audit import audit
from normlab.tools.audit.finding import Audit, Finding
from normlab.tools.audit.subject import NotCallable
from normlab.tools.zoo import build_named, sample_inputs
from normlab.training.trained_model import configuration, load_trained

SAMPLES = 16  # at most, in the batch that a model built by name is looked at with
NEEDS_SAMPLE = "distances of running statistics, leaks and groups of one value"


def audit_from_console(
    name: str, world_size: int, batch_per_device: int | None, evaluation: bool, as_json: bool
) -> None:
    """The findings in a model built by name, with random input, or in a checkpoint of train.py, with its test data."""
    if name.endswith(".ckpt") or Path(name).is_file():
        model, data = load_trained(Path(name))
        size = (
            configuration(Path(name)).data.batch_size
            if batch_per_device is None
            else batch_per_device
        )
        sample = next(iter(data.eval_batches("test")))[0][: 4 * SAMPLES]
        found = audit(model.train(not evaluation), sample, world_size, size)
    else:
        model = build_named(name)
        size = SAMPLES if batch_per_device is None else batch_per_device
        sample = sample_inputs(name, model, min(max(size, 2), SAMPLES))
        found = _audit_named(model.train(not evaluation), sample, world_size, size)
    if as_json:
        rows = [_row(finding) for finding in found]
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        for line in (
            *(f"not read: {layer}" for layer in found.unread),
            *(f"not looked for: {n}" for n in found.notes),
        ):
            print(line, file=sys.stderr)
    else:
        print(found)


def _audit_named(model: Any, sample: Any, world_size: int, size: int) -> Audit:
    """With the sample batch that was made up for the model, and without it where it takes another."""
    reason = "nothing says what the model takes"
    if sample is not None:
        try:
            return audit(model, sample, world_size, size)
        except NotCallable as error:
            shape = getattr(sample, "shape", None)
            tried = (
                f"random input of shape {tuple(shape)}" if shape else f"random {', '.join(sample)}"
            )
            said = str(error.__cause__).partition("\n")[0]
            reason = f"the model does not take {tried} ({type(error.__cause__).__name__}: {said})"
    found = audit(model, None, world_size, size)
    return replace(found, notes=(f"{NEEDS_SAMPLE}: {reason}", *found.notes))


def _row(finding: Finding) -> dict[str, Any]:
    """A finding with the verdicts that it rests on, for JSON."""
    evidence = [{**asdict(one), "record": asdict(one.recorded())} for one in finding.evidence]
    return {**asdict(finding), "evidence": evidence}
