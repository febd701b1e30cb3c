"""Evidence of every arm of a claim, made up: what its quantities read can then be looked at."""

import zlib
from itertools import product

import numpy as np

from normlab.claims.evidence import Evidence
from normlab.measure.timing.trials import GAIN, LOG, PARTS, _cells, _words
from normlab.records.record import Record

SEEDS = range(100, 105)


class MadeUp(dict):
    """Metrics of any name: a number between 0.1 and 0.9 that hangs on the name and a seed."""

    def __init__(self, seed, names=()):
        super().__init__()
        self.seed = seed
        self.update({name: self[name] for name in names})

    def __missing__(self, name):
        return 0.1 + 0.8 * (zlib.crc32(f"{name} {self.seed}".encode()) % 1000) / 1000

    def get(self, name, default=None):
        return self[name]

    def __contains__(self, name):
        return True


def evidence_of(claim, protocol, names=()):
    """Five seeds of every arm, under one of the claim's protocols."""
    records = {arm.name: {seed: _record(claim, protocol, arm, seed) for seed in SEEDS}
               for arm in claim.arms}  # fmt: skip
    return Evidence({arm: records[arm] for arm in names or records})


def _record(claim, protocol, arm, seed):
    shift = zlib.crc32(arm.name.encode()) % 97
    steps = [float(step) for step in range(0, 300, 15)]
    losses = list(np.linspace(2.3, 1.0 + shift / 200, len(steps)))
    return Record(
        key=f"{arm.name} {seed}",
        config={},
        claim=claim.slug,
        arm=arm.name,
        seed=seed,
        status="ok",
        metrics=MadeUp(seed + shift, _timed_names(claim, protocol, arm)),
        curve={"step": steps, "train_loss": losses},
        device="gloo, cpu",
    )


def _timed_names(claim, protocol, arm):
    """Names of a timed trial's cells; none where names are no list."""
    options = {**protocol.options, **arm.options}
    if not claim.timed or "grids" not in options:
        return []
    grid = options["grids"][options["grid"]]
    if "implementation" in options:
        shapes = ["x".join(map(str, shape)) for shape in grid["shapes"]]
        blocks = [f"{LOG}{shape} {what}" for shape, what in product(shapes, PARTS)]
        return [*blocks, *(f"{GAIN}{shape}" for shape in shapes)]
    if "model" in options:
        return [f"{LOG}{_words(size)}" for size in grid["steps"]]
    return [f"{LOG}{cell.name}" for cell in _cells(options)]
