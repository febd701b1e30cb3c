"""Every claim's whole code path, from the command line, in seconds each: `normlab run --all
--profile smoke`."""

import os

from normlab.claims.registry import load_all, slugs
from normlab.claims.verdicts import verdicts
from normlab.records.store import RESULTS, Store


def test_all_claims_run_under_smoke_and_feed_no_verdict(normlab, tmp_path):
    results = tmp_path / "results"
    environment = {key: value for key, value in os.environ.items() if key != "NORMLAB_DATA"}
    command = ("run", "--all", "--profile", "smoke", "--results", str(results))
    done = normlab(*command, env=environment, timeout=1800.0)
    assert done.returncode == 0, done.stderr
    assert "0 failed" in done.stdout
    ran = {record.claim for record in Store(results).done().values()}
    # A claim whose trials another one runs too has none of its own.
    assert len(ran) > 0.6 * len(slugs())
    # Trainings under smoke are other trials than those of any other profile: no evidence, even
    # where they lie.
    trained = {claim.slug for claim in load_all() if claim.trial is None}
    assert {row.verdict for row in verdicts(load_all(), Store(results)) if row.slug in trained} == {
        "no data"
    }


def test_smoke_is_kept_out_of_results(normlab):
    done = normlab("run", "gn-extremes", "--profile", "smoke", "--results", str(RESULTS))
    assert done.returncode == 2 and "smoke" in done.stderr and "Traceback" not in done.stderr
