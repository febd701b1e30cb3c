"""Every claim's whole code path, from the command line, in seconds each: `normlab run --all --profile smoke`."""

import os
import subprocess
import sys

from normlab.claims.registry import slugs
from normlab.claims.store import Store


def test_all_claims_run_under_smoke_and_feed_no_verdict(tmp_path):
    results = tmp_path / "results"
    command = [sys.executable, "-m", "normlab.cli", "run", "--all", "--profile", "smoke", "--results", str(results)]
    environment = {key: value for key, value in os.environ.items() if key != "NORMLAB_DATA"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "0 failed" in done.stdout
    ran = {record.claim for record in Store(results).done().values()}
    # A claim whose trials another one runs too has none of its own.
    assert len(ran) > 0.6 * len(slugs())
    verdicts = subprocess.run(
        [sys.executable, "-m", "normlab.cli", "verdict", "--results", str(results)], capture_output=True, text=True
    )
    assert verdicts.returncode == 0, verdicts.stderr
    assert "supported" not in verdicts.stdout and "refuted" not in verdicts.stdout
