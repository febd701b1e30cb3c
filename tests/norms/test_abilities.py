"""What every norm can do, as docs/abilities.md says: each outcome is found again."""

import pytest
import torch
from abilities.all import ABILITIES
from abilities.cases import CASES
from abilities.page import PAGE, page
from abilities.table import WITHOUT, found, in_suite, outcome, torch_of, twin_outcome

from normlab.norms import kernels

PAIRS = [
    pytest.param(one, case, id=f"{case}-{one}")
    for one in ABILITIES
    for case in CASES
    if in_suite(one, case)
]
TWINS = [
    pytest.param(one, case, id=f"{one}-{case}")
    for one in ABILITIES
    for case in CASES
    if case.twin and not one.slow and in_suite(one, case)
]
# Over two values, torch's float32 gradient cancels past the tolerance, whatever the parameters are.
OF_TWO_VALUES = "batchnorm-ghost-batches-NC"
OF_16_BITS = ("16 bits into float32", "16-bit parameters")
BUILD = "run `python scripts/abilities.py`, and look at what it changes"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("one", "case"), PAIRS)
def test_a_norm_can_do_what_the_page_says(one, case):
    pair = found(one.group).get(one.name, {}).get(str(case), [WITHOUT, None])
    assert outcome(one, case) == pair[0], BUILD


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("one", "case"), TWINS)
def test_the_layer_of_torch_can_do_what_the_page_says(one, case):
    if not torch.__version__.startswith(torch_of(one.group)):
        pytest.skip("the page is about another torch")
    pair = found(one.group).get(one.name, {}).get(str(case), [WITHOUT, None])
    assert twin_outcome(one, case) == pair[1], BUILD


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", [c for c in CASES if str(c) != OF_TWO_VALUES], ids=str)
@pytest.mark.parametrize("one", [one for one in ABILITIES if one.name in OF_16_BITS], ids=str)
def test_16_bits_without_kernels(one, case):
    with kernels.without_kernels():
        assert outcome(one, case) == found(one.group)[one.name].get(str(case), [WITHOUT])[0]


def test_the_page_is_that_of_the_outcomes():
    assert PAGE.read_text() == page(), BUILD


def test_no_outcome_is_left_over():
    for group in {one.group for one in ABILITIES}:
        assert set(found(group)) == {one.name for one in ABILITIES if one.group == group}
        for cases in found(group).values():
            assert set(cases) <= {str(case) for case in CASES}
