"""Score records that other code made stand once a trial of each way has given the same bits."""

import json
from dataclasses import replace

import pytest

from normlab.claims.design import Design
from normlab.claims.run.execute import execute
from normlab.claims.staleness import changed_files
from normlab.records.provenance import load_sources
from normlab.records.store import Store
from normlab.score.battery import TRIALS, battery
from normlab.score.recheck import recheck_scores, recorded_subjects
from normlab.score.subject import Subject, subject_of

BEFORE = "0123456789ab"


@pytest.fixture
def older(tmp_path):
    """The draws of two norms as layers, as if made by another norms/group.py."""
    frn, groupnorm = subject_of("frn"), subject_of("groupnorm", ["num_groups=2"])
    claim = battery(frn, [groupnorm], timed=False)[0]
    with Store(tmp_path) as store:
        for job in Design(claim, claim.protocols["smoke"]).progress({}).jobs:
            record = execute(job, TRIALS)
            assert record.status == "ok", record.message
            record.code["source"] = BEFORE
            store.append("layer", record)
    path = tmp_path / "sources.json"
    known = json.loads(path.read_text())
    (hashes,) = known["sources"].values()
    known["sources"] = {BEFORE: {**hashes, "norms/group.py": "00000000"}}
    path.write_text(json.dumps(known))
    return tmp_path


def test_the_norms_of_recorded_layers_are_found(older, capsys):
    records = list(Store(older).records.values())
    elsewhere = replace(
        records[0], config={"options": {"norm": {"kind": "custom", "target": "no.One"}}}
    )
    found = recorded_subjects([*records, elsewhere])
    assert {subject.name for subject in found} == {"frn", "groupnorm num_groups=2"}
    assert all(isinstance(subject, Subject) for subject in found)
    assert "left out: " in capsys.readouterr().err


def test_score_records_are_rechecked_like_those_of_claims(older, monkeypatch):
    def run_all(engine, jobs):
        return ((job, execute(job, TRIALS)) for job in jobs)

    monkeypatch.setattr("normlab.claims.run.recheck.run_all", run_all)
    assert {one for one in stale(older)} == {"norms/group.py"}
    rows = recheck_scores(older, workers=1)
    assert rows and all(row["same"] for row in rows)
    assert stale(older) == set() and recheck_scores(older, workers=1) == []


def stale(folder):
    known = load_sources(folder)
    return set().union(*(changed_files(r, known) for r in Store(folder).records.values()))
