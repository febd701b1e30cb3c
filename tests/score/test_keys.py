"""Recorded measurements of a norm are found under the keys of today, and come out the same."""

import json

import pytest
import torch

from normlab.norms import kernels
from normlab.records.places import RESULTS
from normlab.records.record import trial_key
from normlab.records.store import Store
from normlab.score.subject import subject_of
from normlab.score.trials.layer import trial

KINDS = ("batchnorm", "layernorm", "groupnorm", "rmsnorm", "batchrenorm", "dyt", "frn")


@pytest.fixture(scope="module")
def records():
    return Store(RESULTS / "score").records


@pytest.mark.parametrize("kind", KINDS)
def test_a_recorded_draw_gives_the_same_bits(records, kind):
    """Whatever has been changed in the file of the norm since."""
    options = {"norm": subject_of(kind).measured}
    key = trial_key({"trial": "layer", "version": 1, "options": options, "seed": 0})
    torch.manual_seed(0)
    # The records were made by torch's operations: kernels in C give other last digits.
    with kernels.without_kernels():
        metrics = json.loads(json.dumps(trial(options, 0)))
    drawn = [r for r in records.values() if r.claim == "layer" and r.seed == 0]
    recorded = [r for r in drawn if r.config["options"]["norm"]["kind"] == kind]
    assert [r.metrics for r in recorded] == [metrics]
    assert key in records, f"keys call its code {recorded[0].config['options']['norm']['code']}"
