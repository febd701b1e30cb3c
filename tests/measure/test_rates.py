"""A rate by the validation score: as the engine chooses for plain trainings."""

import math

import pytest

from normlab.measure.rates import best_rate, train_tuned, validation_score

GRID = (0.03, 0.1, 0.3)


def chosen(score, rates=GRID, **given):
    """The rate, and every rate that was tried, in order."""
    tried = []

    def attempt(rate):
        tried.append(rate)
        return score(rate), f"network at {rate}"

    found = best_rate(attempt, rates, **given)
    assert found.kept == f"network at {found.rate}" and found.score == score(found.rate)
    assert len(tried) == len(set(tried))
    return found.rate, tried


def peak(at):
    return lambda rate: -abs(math.log(rate / at))


@pytest.mark.parametrize(
    ("at", "rate", "tried"),
    [
        (0.1, 0.1, [0.03, 0.1, 0.3]),
        (0.01, 0.009, [0.03, 0.1, 0.3, 0.009, 0.0027]),
        (1.0, 1.0, [0.03, 0.1, 0.3, 1.0, 3.3]),
        (1e-9, 0.00081, [0.03, 0.1, 0.3, 0.009, 0.0027, 0.00081]),
    ],
)
def test_the_grid_grows_where_the_best_lies_at_its_edge(at, rate, tried):
    assert chosen(peak(at)) == (rate, tried)


def test_of_equal_scores_the_lowest_rate():
    assert chosen(lambda rate: 0.5 if rate > 0.05 else 0.1)[0] == 0.1


def test_a_grid_that_may_not_grow():
    assert chosen(peak(10.0), extend=False) == (0.3, list(GRID))


def test_where_no_rate_trains_the_grid_grows_down_and_then_up():
    rate, tried = chosen(lambda rate: -math.inf)
    assert rate == min(tried) and len(tried) == 9 and tried[3] < 0.03 and tried[-1] > 0.3


def options(*choice):
    small = ("data=digits", "data.subset=128", "data.eval_subset=64", "data.batch_size=64")
    return {
        "overrides": (*small, "model.width=8", "trainer.max_steps=8"),
        "rates": (0.01, 0.1),
        "choice": choice,
        "extend": False,
    }


def test_the_shorter_budget_chooses_and_the_whole_one_trains():
    found = train_tuned(options("trainer.max_steps=4"), ("norm=groupnorm",), seed=1)
    assert found.kept.steps == 8 and found.kept.cfg.optim.lr == found.rate
    whole = train_tuned(options(), ("norm=groupnorm",), seed=1)
    assert whole.kept.steps == 8 and whole.score == validation_score(whole.kept)


def test_a_network_that_ignores_its_input_has_no_score():
    setup = train_tuned(options(), (), seed=1).kept
    for parameter in setup.model.head.parameters():
        parameter.data.zero_()
    setup.model.head.weight.data.fill_(math.nan)
    assert validation_score(setup) == -math.inf
