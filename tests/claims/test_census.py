"""The rule of audits: shares of a whole list."""

import pytest
from normlab.claims.census import census

from normlab.records.verdict import PARTLY, REFUTED, SUPPORTED


def listed(yes, no):
    return {**{f"yes{i}": True for i in range(yes)}, **{f"no{i}": False for i in range(no)}}


@pytest.mark.parametrize(
    ("yes", "no", "verdict"),
    [(4, 1, SUPPORTED), (12, 3, SUPPORTED), (11, 4, PARTLY), (1, 1, PARTLY), (7, 8, REFUTED), (0, 1, REFUTED),
     (1, 0, SUPPORTED)],
)  # fmt: skip
def test_share_of_a_list(yes, no, verdict):
    assert census(listed(yes, no), 0.8).verdict == verdict


def test_says_the_count_and_the_exceptions_and_is_exact():
    found = census(listed(2, 2), 0.8)
    assert (found.effect, found.low, found.n, found.p) == (0.5, None, 4, None)
    assert found.text == "2 of 4, not no0, no1; supported from 80 %, refuted below half"


def test_of_all_one_exception_is_too_many():
    assert census(listed(9, 0), 1.0).verdict == SUPPORTED
    assert census(listed(8, 1), 1.0).verdict == REFUTED


def test_refuses_what_is_no_share():
    with pytest.raises(ValueError, match="at least one entry"):
        census({}, 0.8)
    with pytest.raises(ValueError, match=r"0\.5 to 1"):
        census({"a": True}, 0.2)
