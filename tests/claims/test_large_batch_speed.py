"""How the claim about speed with large batches reads steps off a curve of training losses."""

import runpy

import numpy as np
import pytest
from made_up_evidence import evidence_of

from normlab.claims.claim import Protocol
from normlab.claims.evidence import PartMissing
from normlab.claims.registry import experiment_file, load_claim
from normlab.records.record import Record

FILE = runpy.run_path(str(experiment_file("bn-best-large-batch-vision")))


def record(losses):
    steps = [float(10 * (index + 1)) for index in range(len(losses))]
    curve = {"step": steps, "train_loss": losses}
    return Record(key="", config={}, claim="", arm="", seed=0, status="ok", metrics={}, curve=curve)


@pytest.mark.parametrize(
    ("losses", "loss", "steps"),
    [
        ([2.0, 1.0, 0.5], 1.5, 15),  # half way down the first line
        ([2.0, 1.0, 0.5], 1.0, 20),
        ([2.0, 1.0, 0.5], 0.1, 30),  # never: the whole budget
        ([2.0, 1.0, 1.6, 0.5], 1.5, 15),  # the first fall counts
        ([None, 1.0, 0.5], 1.5, 20),  # not finite before it
        ([1.0, 0.5], 3.0, 10),
    ],
)
def test_steps_to_a_loss(losses, loss, steps):
    assert FILE["steps_to"](record(losses), loss) == pytest.approx(steps)


@pytest.fixture
def compared():
    """The clause about speed, and evidence in which BatchNorm needs half the steps."""
    claim = load_claim("bn-best-large-batch-vision")
    part = next(part for part in claim.clauses if part.name == "speed, GN")
    evidence = evidence_of(claim, Protocol(), part.quantity.arms)
    falling = np.linspace(2.0, 0.0, 21).tolist()
    for arm, by_seed in evidence.records.items():
        for one in by_seed.values():
            one.curve["step"] = list(range(0, 210, 10))
            one.curve["train_loss"] = falling
            if arm == "batchnorm":
                one.curve["train_loss"] = [max(0.0, 2 * loss - 2) for loss in falling]
    return part, evidence


def test_a_norm_of_twice_the_steps_is_at_2(compared):
    part, evidence = compared
    groupnorm, batchnorm = part.quantity.read(evidence)
    assert np.exp(groupnorm + batchnorm) == pytest.approx(2)


def test_what_does_not_train_has_no_speed(compared):
    part, evidence = compared
    first, *others = evidence.records["groupnorm"].values()
    first.status, first.curve["train_loss"] = "diverged", [2.0, None]
    first.curve["step"] = [0, 10]
    groupnorm, batchnorm = part.quantity.read(evidence)
    assert len(groupnorm) == len(others) and len(batchnorm) == len(others) + 1
    assert np.exp(groupnorm.mean() + batchnorm.mean()) == pytest.approx(2)
    for one in others:
        one.status = "diverged"
    with pytest.raises(PartMissing, match="no network of groupnorm trains"):
        part.quantity.read(evidence)
