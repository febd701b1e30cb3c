"""The contrast probe: what a network with and without per-sample norms still knows of an image's contrast."""

import pytest

from normlab.config import compose
from normlab.training.fit import fit


def contrast_accuracy(*overrides: str) -> float:
    fixed = ["data=digits", "trainer.max_steps=40", "evaluations=[contrast]", "logger=none", "trainer.progress=false"]
    return fit(compose([*fixed, *overrides])).metrics["contrast_accuracy"]


def test_a_net_without_norm_knows_the_contrast():
    assert contrast_accuracy("norm=none", "optim.lr=0.01") > 0.5


@pytest.mark.parametrize("kind", ["instancenorm", "groupnorm", "layernorm"])
def test_a_per_sample_norm_takes_the_contrast_away(kind):
    assert contrast_accuracy(f"norm={kind}") == pytest.approx(0.25, abs=0.12)  # 4 levels; 270 images: s.d. 0.026


def test_the_probe_leaves_the_run_as_it_is():
    fixed = ["data=digits", "trainer.max_steps=5", "logger=none", "trainer.progress=false"]
    plain, probed = (fit(compose([*fixed, *more])) for more in ([], ["evaluations=[contrast]"]))
    assert plain.metrics["test_loss"] == probed.metrics["test_loss"]
    assert plain.key != probed.key
