"""How often each family of rules is wrong, through the whole road; docs/evidence.md says the same.

5 % may be false; bounds have three standard errors of these simulations, and what is known of skew.
"""

import re
from pathlib import Path

import numpy as np
import pytest

from normlab.claims import false_verdicts
from normlab.claims.false_verdicts import SEQUENCE, collapsing, lognormal, one_skewed, tuned_apart
from normlab.records.places import CHECKOUT

EXPERIMENTS = 4_000
ERROR = 3 * np.sqrt(0.05 * 0.95 / EXPERIMENTS)


@pytest.fixture(autouse=True)
def shorter(monkeypatch):
    # 60 seeds are for the table: the sizes in which claims are judged are these.
    monkeypatch.setattr(false_verdicts, "SIZES", (5, 20))


@pytest.mark.parametrize("noise", [false_verdicts.normal, lognormal])
def test_identical_arms_tuned_apart_are_seldom_told_apart(noise):
    for found in tuned_apart(EXPERIMENTS, noise):
        # The worst of four curves, each with an error of its own.
        assert found.share <= 0.05 + 1.3 * ERROR, found


def test_one_long_tail_is_nearly_harmless():
    for found in one_skewed(EXPERIMENTS):
        assert found.share <= 0.075, found


def test_collapse_is_harmless_to_a_mean_of_those_that_train_and_only_to_that():
    for found in collapsing(EXPERIMENTS, trained=True):
        assert found.share <= 0.05 + 1.3 * ERROR, found
    whole = {found.looks: found.share for found in collapsing(1_000, trained=False)}
    assert whole[SEQUENCE] > 0.3  # known, and why means are of those that train


def test_the_page_has_every_situation_and_nothing_beyond_what_is_said_of_it():
    text = Path(CHECKOUT, "docs", "evidence.md").read_text()
    block = re.search(r"false verdicts:begin -->(.*?)<!-- false", text, re.DOTALL)[1]
    rows = [line for line in block.splitlines() if line.startswith("| ") and " % |" in line]
    assert len(rows) == 9
    worst = 0.0
    for row in rows[:-1]:
        shares = [float(share) for share in re.findall(r"([\d.]+) %", row)]
        assert len(shares) == 5 and max(shares) <= 7.5, row
        worst = max(worst, *shares)
    assert f"in at most {worst} % of cases" in Path(CHECKOUT, "README.md").read_text()
