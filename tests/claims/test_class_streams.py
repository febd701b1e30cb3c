"""How the claim about streams of one class a batch reads networks that learn nothing."""

import numpy as np
import pytest
from made_up_evidence import evidence_of

from normlab.claims.claim import Protocol
from normlab.claims.registry import load_claim


def test_all_trials_count_those_that_do_not_train_as_well():
    claim = load_claim("iid-samplewise-ln")
    for part in claim.parts:
        if part.name == "trains":
            continue
        evidence = evidence_of(claim, Protocol(), part.quantity.arms)
        for number, arm in enumerate(part.quantity.arms):
            for seed, one in enumerate(evidence.records[arm].values()):
                one.metrics |= {"test_accuracy": 0.3 - 0.1 * number, "precise_test_accuracy": 0.35}
                one.status = "ok" if seed else "diverged"
        values = part.quantity.read(evidence)
        samples = values if isinstance(values, tuple) else (values,)
        n = len(evidence.seeds)
        assert n > 1 and all(len(sample) == n for sample in samples)
        expected = 5 if part.name == "mixed statistics" else 10
        assert sum(np.mean(sample) for sample in samples) == pytest.approx(expected)
