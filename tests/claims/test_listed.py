"""The rule of audits: shares of a whole list."""

import numpy as np
import pytest

from normlab.claims.rules import Listed
from normlab.records.verdict import PARTLY, REFUTED, SUPPORTED


def decide(yes, no, share):
    """Of a list in which something holds for the first `yes` entries and not for the others."""
    names = tuple([f"yes{i}" for i in range(yes)] + [f"no{i}" for i in range(no)])
    return Listed(names, share).decide(np.array([1.0] * yes + [0.0] * no), "of the list")


@pytest.mark.parametrize(
    ("yes", "no", "verdict"),
    [
        (4, 1, SUPPORTED),
        (12, 3, SUPPORTED),
        (11, 4, PARTLY),
        (1, 1, PARTLY),
        (7, 8, REFUTED),
        (0, 1, REFUTED),
        (1, 0, SUPPORTED),
    ],
)
def test_share_of_a_list(yes, no, verdict):
    assert decide(yes, no, 0.8).verdict == verdict


def test_says_the_count_and_the_exceptions_and_is_exact():
    finding = decide(2, 2, 0.8)
    assert (finding.effect, finding.low, finding.n, finding.p) == (0.5, None, 4, None)
    assert finding.text == "2 of 4, not no0, no1; supported from 80 %, refuted below half"


def test_of_all_one_exception_is_too_many():
    assert decide(9, 0, 1.0).verdict == SUPPORTED
    assert decide(8, 1, 1.0).verdict == REFUTED


def test_refuses_what_is_no_share():
    with pytest.raises(ValueError, match="at least one entry"):
        Listed((), 0.8)
    with pytest.raises(ValueError, match=r"0\.5 to 1"):
        Listed(("a",), 0.2)


def test_refuses_another_number_of_answers_than_entries():
    with pytest.raises(ValueError):
        Listed(("a", "b"), 0.8).decide(np.array([1.0]), "of the list")
