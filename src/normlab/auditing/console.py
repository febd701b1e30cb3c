"""What `normlab audit` prints."""

import json
from dataclasses import asdict
from pathlib import Path

from normlab.auditing import audit
from normlab.model_names import build_named, sample_inputs
from normlab.trained_model import configuration, load_trained

SAMPLES = 16  # at most, in the batch that a model built by name is looked at with


def audit_from_console(
    name: str, world_size: int, batch_per_device: int | None, evaluation: bool, as_json: bool
) -> None:
    """The findings in a model built by name, with random input, or in a checkpoint of train.py, with its test data."""
    if name.endswith(".ckpt") or Path(name).is_file():
        model, data = load_trained(Path(name))
        sample = next(iter(data.eval_batches("test")))[0][: 4 * SAMPLES]
        size = batch_per_device or configuration(Path(name)).data.batch_size
    else:
        model = build_named(name)
        size = batch_per_device or SAMPLES
        sample = sample_inputs(name, model, min(max(size, 2), SAMPLES))
    found = audit(model.train(not evaluation), sample, world_size, size)
    if as_json:
        rows = [{**asdict(f), "evidence": [{**asdict(e), "record": e.recorded()} for e in f.evidence]} for f in found]
        print(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        print(found)
