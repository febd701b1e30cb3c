"""How tensorboard-monitoring counts the runs that show it early, of those that diverge."""

import pytest

from normlab.claims.evidence import Evidence, PartMissing
from normlab.claims.registry import experiment_file, load_experiment
from normlab.records.record import Record
from normlab.records.verdict import INCONCLUSIVE, REFUTED, SUPPORTED


@pytest.fixture(scope="module")
def experiment():
    return load_experiment(experiment_file("tensorboard-monitoring"))


def runs(leads, calm=0):
    """One that diverges for each of `leads`, after `calm` that do not."""
    metrics = [{"lead": 900.0, "diverged": 0.0}] * calm
    metrics += [{"lead": lead, "diverged": 1.0} for lead in leads]
    records = [Record("k", {}, status="ok", metrics=one) for one in metrics]
    return Evidence({"spoiled": dict(enumerate(records))})


@pytest.mark.parametrize(
    ("leads", "share", "verdict"),
    [
        ([3.0, 6.0, 49.0] * 4, 0.0, REFUTED),
        ([50.0, 1300.0] * 6, 1.0, SUPPORTED),
        ([3.0, 1300.0] * 6, 0.5, INCONCLUSIVE),
        # A mean would call these early: 224 steps.
        ([6.0] * 10 + [1300.0] * 2, 2 / 12, REFUTED),
    ],
)
def test_most_runs_decide_and_no_mean_of_them(experiment, leads, share, verdict):
    part = experiment.mostly("spoiled", "most do")
    finding = part.decide(runs(leads, calm=5))
    assert (finding.verdict, finding.n) == (verdict, len(leads))
    assert finding.effect == pytest.approx(share)


def test_runs_that_do_not_diverge_tell_nothing(experiment):
    part = experiment.mostly("spoiled", "most do")
    with pytest.raises(PartMissing, match="no run diverges"):
        part.quantity.read(runs([], calm=6))
    assert part.decide(runs([], calm=6)).verdict == INCONCLUSIVE
