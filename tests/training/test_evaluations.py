"""What else is measured on a trained network: the contrast probe, and the whole test split."""

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


def test_the_whole_test_split_is_read_whatever_the_subset():
    fixed = ["data=digits", "trainer.max_steps=5", "logger=none", "trainer.progress=false"]
    whole, part = (fit(compose([*fixed, *more])) for more in ([], ["data.eval_subset=50", "evaluations=[whole_test]"]))
    assert part.metrics["whole_test_accuracy"] == whole.metrics["test_accuracy"] != part.metrics["test_accuracy"]
