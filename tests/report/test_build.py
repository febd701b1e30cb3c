"""What `normlab report` builds: up to date here, deterministic, and it moves with the records."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from made_up import accuracy, better, claim, fill

from normlab.claims.claim import Arm
from normlab.claims.looks import Looks
from normlab.claims.registry import load_all, load_claim
from normlab.claims.trials import Trials
from normlab.claims.verdicts import verdicts
from normlab.records.places import EXPERIMENTS
from normlab.report.build import built, out_of_date, write
from normlab.report.cards import build_card
from normlab.report.figures import draw
from normlab.report.verdict_table import verdict_page


def page(folder, *claims):
    """The first page and those of the claims, one after the other."""
    texts = built(folder, claims=claims)
    return "".join(text for path, text in texts.items() if path.suffix == ".html")


def row(store, one):
    (found,) = verdicts([one], store)
    return found


def table(store, *claims):
    rows = verdicts(claims, store)
    return verdict_page([build_card(*pair, store) for pair in zip(claims, rows, strict=True)])


def rewrite(folder: Path, slug: str, change):
    """Each record of a file through `change`, which returns it, or None to leave it out."""
    path = folder / f"{slug}.jsonl"
    records = [change(json.loads(line)) for line in path.read_text().splitlines()]
    path.write_text(
        "".join(json.dumps(record, sort_keys=True) + "\n" for record in records if record)
    )


def test_what_this_checkout_commits_is_up_to_date():
    texts = built()
    pages = {path: text for path, text in texts.items() if path.suffix == ".html"}
    old = [path.name for path in out_of_date(texts) if path not in pages]  # build products
    large = {path.name: len(text.encode()) for path, text in pages.items()}
    assert len(pages) == 2 + len(load_all()) and max(large.values()) < 300_000, large
    assert {"README.md", "VERDICTS.md", "verdicts.json"} <= {path.name for path in texts}
    assert not old, f"{', '.join(old)}: run `normlab report` and commit what it writes"


def test_without_trials_no_claim_has_a_figure():
    for one in load_all():
        assert draw(one, Trials()) == ""


def test_the_same_records_give_the_same_bytes(tmp_path):
    one = claim()
    fill(tmp_path, one, better(0.03))
    first = built(tmp_path, claims=[one])
    write(first)
    assert not out_of_date(first)
    for path in first:
        path.unlink()
    again = built(tmp_path, claims=[one])
    assert again == first and set(out_of_date(again)) == set(first)


# Of three topics; the second has no trials, as most claims of a new checkout.
SHOWN = (
    "definitions/in_removes_contrast.py", "definitions/affine_undo.py", "depth/bn_deeper_nets.py"
)  # fmt: skip


def test_console_builds_checks_and_names_what_is_old(normlab, tmp_path):
    for name in SHOWN:
        copy = tmp_path / "experiments" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.symlink_to(EXPERIMENTS / name)
    here = {**os.environ, "NORMLAB_EXPERIMENTS": str(tmp_path / "experiments")}
    results = tmp_path / "results"
    for one in map(load_claim, ("in-removes-contrast", "bn-deeper-nets")):
        fill(results, one, lambda job, noise: accuracy(0.6 + 0.01 * noise, error=1e-5))
    report = partial(normlab, "report", "--results", str(results), env=here)
    missing = report("--check")
    assert missing.returncode == 1 and "verdicts.json" in missing.stderr
    assert "index.html" not in missing.stderr  # a build product may be missing, but not be old
    assert not (results / "report").exists()
    command = [sys.executable, "-m", "normlab.cli", "report", "--results", str(results)]
    subprocess.run(command, env={**here, "PYTHONHASHSEED": "1"}, check=True)
    assert len(list((results / "report" / "claims").glob("*.html"))) == len(SHOWN)
    # The order of a set is another one in the process that this one is forked from.
    assert report("--check").returncode == 0
    (results / "report" / "index.html").write_text("typed")
    old = report("--check")
    assert old.returncode == 1 and "index.html" in old.stderr and "verdicts.json" not in old.stderr
    refused = normlab("report", "--results", str(tmp_path / "nowhere"))
    assert (
        refused.returncode == 2
        and "no such folder" in refused.stderr
        and "Traceback" not in refused.stderr
    )


def test_altering_one_metric_moves_the_verdict(tmp_path):
    one = claim(parts=1)
    store = fill(tmp_path, one, better(0.03))
    assert row(store, one).verdict == "supported"
    before = built(tmp_path, claims=[one])
    write(before)

    def alter(record):
        if (record["arm"], record["seed"]) == ("new", 2):
            record["metrics"]["test_accuracy"] -= 0.3
        return record

    rewrite(tmp_path, one.slug, alter)
    store.reload()
    assert row(store, one).verdict == "inconclusive"
    after = built(tmp_path, claims=[one])
    assert set(out_of_date(after)) == set(before)  # pages and verdicts.json
    assert "**supported**" not in table(store, one)


def test_removing_two_seeds_is_inconclusive_and_says_so(tmp_path):
    one = claim(parts=1)
    store = fill(tmp_path, one, better(0.03))
    rewrite(
        tmp_path,
        one.slug,
        lambda record: None if record["seed"] in (1, 4) and record["arm"] == "new" else record,
    )
    store.reload()
    assert row(store, one).verdict == "inconclusive"
    html = page(tmp_path, one)
    assert "missing: new: 2 of 5 seeds still to run" in html
    assert (
        len(re.findall(r'class="mark \w* ?hollow"', html)) == 2
    )  # seeds 1 and 4 of the other arm: shown, not counted
    assert "| **inconclusive** |" in table(store, one)


def test_a_card_names_the_confidence_of_its_looks_where_there_are_several(tmp_path):
    one = claim()
    fill(tmp_path, one, better(0.03))
    assert "so that looks at" not in page(tmp_path, one)
    protocol = replace(one.protocols["quick"], looks=Looks((5, 8)))
    several = replace(one, protocols={"quick": protocol})
    assert "are 97.3% each, so that looks at 5 and 8 seeds together" in page(tmp_path, several)


def test_no_data(tmp_path):
    one = claim()
    html = page(tmp_path, one)
    assert "No trial is recorded yet" in html and "no data" in html and one.statement in html
    assert "No trial is recorded yet" in verdict_page([])
    other = claim("other", arms=(Arm("new", ("norm=rmsnorm",)), Arm("old", ("norm=none",))))
    store = fill(tmp_path, one, better(0.03))
    text = table(store, one, other)
    assert "1 no data" in text and "## No data: 1" in text and "[`other`]" in text


def test_failed_trials_and_divergence_are_shown(tmp_path):
    one = claim(parts=1)

    def measure(job, noise):
        diverged = (
            {"status": "diverged", "message": "stuck"} if (job.arm, job.seed) == ("old", 3) else {}
        )
        return {"metrics": accuracy(0.1 if diverged else 0.6 + 0.01 * noise), **diverged}

    fill(tmp_path, one, measure, leave_out=lambda job: (job.arm, job.seed) == ("new", 0))
    assert "1 of 5 did not train" in page(tmp_path, one) and 'class="cross"' in page(tmp_path, one)

    def fail_the_last(job, noise):
        crash = {"status": "failed", "message": "OutOfMemoryError: <4 GiB>", "metrics": {}}
        return crash if (job.arm, job.seed) == ("new", 0) else measure(job, noise)

    from made_up import record

    from normlab.claims.design import Design
    from normlab.records.store import Store

    with Store(tmp_path) as store:
        (job,) = Design(one, one.protocols["quick"]).progress(store.done()).jobs
        store.append(one.slug, record(one, job, fail_the_last(job, 0.0)))
    assert "new, seed 0: failed: OutOfMemoryError: &lt;4 GiB&gt;" in page(tmp_path, one)


def test_stale_records_are_named(tmp_path):
    one = claim(parts=1)
    old = {"git": "f" * 40, "dirty": False, "source": "0123456789ab"}
    store = fill(
        tmp_path, one, lambda job, noise: {"metrics": better(0.03)(job, noise), "code": old}
    )
    assert "stale: made by code that is not known here (0123456789ab)" in page(tmp_path, one)
    assert "**supported** (stale)" in table(store, one)


def test_trials_of_other_claims_are_linked(tmp_path):
    first, second = claim("first"), claim("second", seeds=6)
    fill(tmp_path, first, better(0.03))
    fill(tmp_path, second, better(0.03))
    html = page(tmp_path, first, second)
    assert '<a href="../../first.jsonl">first.jsonl</a> (10)' in html
    assert '<a href="../../second.jsonl">second.jsonl</a> (2)' in html
