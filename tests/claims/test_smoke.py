"""Every claim's whole code path, from the command line, in seconds each: `normlab run SLUGS
--profile smoke`."""

import os

import pytest

from normlab.claims.design import Design
from normlab.claims.registry import experiment_file, load_all
from normlab.claims.verdicts import verdicts
from normlab.records.places import EXPERIMENTS
from normlab.records.store import RESULTS, Store

TOPICS = sorted(path.name for path in EXPERIMENTS.iterdir() if any(path.glob("*.py")))


# By topic, so that no worker is left with all of them.
@pytest.mark.parametrize("topic", TOPICS)
def test_the_claims_of_a_topic_run_under_smoke_and_feed_no_verdict(normlab, tmp_path, topic):
    claims = [claim for claim in load_all() if experiment_file(claim.slug).parent.name == topic]
    environment = {key: value for key, value in os.environ.items() if key != "NORMLAB_DATA"}
    command = ("run", *(claim.slug for claim in claims), "--profile", "smoke")
    where = ("--results", str(tmp_path / "results"), "--workers", "1")
    done = normlab(*command, *where, env=environment, timeout=1200.0)
    assert done.returncode == 0, done.stderr
    assert "0 failed" in done.stdout
    store = Store(tmp_path / "results")
    for claim in claims:
        left = Design(claim, claim.protocols["smoke"]).progress(store.done())
        assert left.remaining == 0, claim.slug
    # Trainings under smoke are other trials than those of any other profile: no evidence, even
    # where they lie.
    trained = {claim.slug for claim in claims if claim.trial is None}
    rows = [row for row in verdicts(claims, store) if row.slug in trained]
    assert all(row.verdict == "no data" for row in rows)


def test_smoke_is_kept_out_of_results(normlab):
    done = normlab("run", "gn-extremes", "--profile", "smoke", "--results", str(RESULTS))
    assert done.returncode == 2 and "smoke" in done.stderr and "Traceback" not in done.stderr
