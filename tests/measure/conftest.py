"""A small trained network, which several measurements look at."""

import pytest

from normlab.config.compose import compose
from normlab.training.setup import set_up

SMALL = (
    "data=digits", "data.subset=128", "data.eval_subset=64", "data.batch_size=64",
    "model.width=8", "trainer.max_steps=4", "norm=batchnorm",
)  # fmt: skip


@pytest.fixture(scope="module")
def setup():
    """With BatchNorm, in eval mode; one for each file, which may not change it."""
    setup = set_up(compose([*SMALL]))
    setup.train()
    setup.model.eval()
    return setup
