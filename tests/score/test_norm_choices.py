"""What to take home, and `normlab score --all`: which trials it runs, guests, and bad input."""

import pytest
from recorded_norms import DEVICE, MadeUp, accuracies, near, times

from normlab.cli.score import score as command
from normlab.errors import NormLabError
from normlab.norms import KINDS
from normlab.records.norm_choices import fitting
from normlab.records.record import Record
from normlab.score import battery, run_all
from normlab.score.choices import norm_choices
from normlab.score.decide_norms import norm_table
from normlab.score.recorded import Recorded
from normlab.score.request import ScoreProfile, TableRequest
from normlab.score.store import ScoreStore
from normlab.score.subject import subject_of

FRN, GROUP, BATCH = (subject_of(kind) for kind in ("frn", "groupnorm", "batchnorm"))


def choices(norms, images, cost=()):
    recorded = MadeUp(norms, {"images": images, "cost": dict(cost)})
    return norm_choices(norm_table(recorded), recorded)


def batches(norm, **means):
    """Of accuracies by batch, `b64=50`, the cells of a norm."""
    return {battery.batch_arm(norm, int(name[1:])).name: near(mean) for name, mean in means.items()}


def test_the_set_follows_the_batch():
    images = {"frn": near(45), "groupnorm": near(44)} | batches(BATCH, b64=50, b8=45, b2=30)
    images[battery.batch_arm(BATCH, 1).name] = accuracies(10, 10, 10, 10, 10)
    found = {one.batch: one for one in choices([FRN, GROUP, BATCH], images)}
    assert found[64].norms == ("batchnorm",)
    assert set(found[8].norms) == {"batchnorm", "frn", "groupnorm"}
    assert found[2].norms == ("frn", "groupnorm") and found[1].norms == ("frn", "groupnorm")
    # One that does not train is a miss, and no norm that was compared.
    assert (found[2].compared, found[1].compared) == (3, 2)
    assert found[4].without_data == ("batchnorm",) and "no data of batchnorm" in found[4].evidence
    assert found[2].n == 5 and "stands for larger ones" in found[2].evidence
    assert found[2].sentence.startswith(
        "frn and groupnorm are not worse than the best of 3 in accuracy at a normalization batch "
        "of 2: no norm is shown to be better by 2 points."
    )
    assert {one.modality for one in found.values()} == {"images"}


def test_the_cheapest_are_those_of_the_set():
    cost = {
        "frn beside a copy": times(30),
        "groupnorm beside a copy": times(20),
        "batchnorm beside a copy": times(10),
        "frn beside groupnorm": times(1.5),
    }
    images = {"frn": near(45), "groupnorm": near(44), **batches(BATCH, b64=30)}
    norms = [FRN, GROUP, BATCH]
    (at,) = [one for one in choices(norms, images, cost) if one.batch == 64]
    # batchnorm would cost less, and is worse.
    assert at.cheapest == ("groupnorm",) and at.device == "x86_64, 1 thread"
    assert at.place == "images, batch 64, x86_64, 1 thread"
    (at,) = [one for one in choices(norms, images) if one.batch == 64]
    assert at.cheapest == () and at.device == ""


def test_a_guest_without_ghost_batches_has_only_its_own_batches(own, monkeypatch):
    monkeypatch.syspath_prepend(str(own))
    moving = subject_of("own_norms.Moving")
    images = {"frn": near(30)} | batches(moving, b64=50, b8=50, b2=50)
    found = {one.batch: one.norms for one in choices([moving, FRN], images)}
    assert found[2] == found[8] == found[64] == ("own_norms.Moving",)
    assert found[1] == found[4] == ("frn",)


def test_nothing_recorded_is_no_choice():
    assert choices([FRN, GROUP], {}) == []
    assert fitting([], "images", 2) == []


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"syncbatchnorm"}))
def test_question_by_question_the_trials_are_those_of_the_battery(kind):
    norm = subject_of(kind)
    for family, barred, arms in (
        ("images", battery.no_images, battery.image_arms),
        ("text", battery.no_text, battery.text_arms),
    ):
        groups = run_all.cells(norm, family)
        split = [arm for group in groups for arm in group]
        expected = () if barred(norm) else arms(norm)
        assert sorted(split, key=str) == sorted(expected, key=str)
    slugs = {claim.slug for claim in run_all.claims_of_all([norm], timed=False)}
    whole = {claim.slug for claim in battery.battery(norm, [], timed=False)}
    assert slugs == whole


def test_each_pair_of_norms_is_timed_once():
    (claim,) = [one for one in run_all.claims_of_all([FRN, GROUP, BATCH], timed=True) if one.timed]
    assert [arm.name for arm in claim.arms] == [
        "frn beside a copy", "groupnorm beside a copy", "batchnorm beside a copy",
        "frn beside groupnorm", "frn beside batchnorm", "groupnorm beside batchnorm",
    ]  # fmt: skip


def test_kinds_that_cannot_be_scored_are_told():
    norms, left_out = run_all.every_kind(shipped=True)
    assert {norm.kind for norm in norms} == set(KINDS) - {"syncbatchnorm"}
    assert [norm.kind for norm in norms][-4:] == ["batchnorm", "groupnorm", "layernorm", "rmsnorm"]
    assert len(left_out) == 1 and "syncbatchnorm" in left_out[0]


def test_with_no_time_nothing_runs_and_what_is_missing_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(run_all, "every_kind", lambda: ([GROUP, FRN], ["One is left out."]))
    request = TableRequest(
        profile=ScoreProfile.smoke, timed=False, minutes=0.0, results=tmp_path, workers=1
    )
    report = run_all.run_all(request)
    # One seed and nothing tuned: a trial an arm, and two draws of each layer.
    assert report.tally.done == 0 and report.left == 2 * (len(battery.image_arms(FRN)) + 2)
    assert report.choices == [] and report.table.left_out == ("One is left out.",)


def test_edited_guests_run_again_and_kinds_do_not(tmp_path, own, monkeypatch):
    monkeypatch.syspath_prepend(str(own))
    guests = [subject_of(f"own_norms.{name}") for name in ("MeanAbs", "Moving")]
    with ScoreStore(tmp_path, *guests) as store:
        for norm in (*guests, FRN):
            config = {"trial": "layer", "options": {"norm": norm.measured}}
            older = {"source": "an older one"}
            store.append(
                "layer", Record(norm.name, config, "layer", norm.name, status="ok", code=older)
            )
        assert set(store.done()) == {"frn"}


def test_the_strongest_protocol_with_records_counts(tmp_path, monkeypatch):
    """Whatever data this machine has: the same records give the same table."""
    with ScoreStore(tmp_path) as store:
        claim = battery.trained_claim(FRN, "images", [battery.base_arm(FRN)])
        store.append(claim.slug, Record("of none", {}, claim.slug, "frn", status="ok"))
        recorded = Recorded([FRN], "quick", store)
    assert recorded.protocols["images"] == "quick-embedded" and not recorded.trials("images", "frn")
    assert recorded.all_devices("images") == [] and DEVICE


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"norm": "dyt", "every": True}, "--all takes no NORM"),
        ({"every": True, "option": ["alpha=1"]}, "--all takes no NORM and no --option"),
        ({}, "name a kind of norm or a class, or pass --all"),
        ({"norm": "dyt", "no_run": True}, "--guest and --no-run go with --all"),
        ({"norm": "dyt", "guest": ["my.Norm"]}, "--guest and --no-run go with --all"),
        ({"every": True, "guest": ["no_such_module.Norm"], "no_run": True}, "no_such_module"),
        ({"every": True, "guest": ["nope"], "no_run": True}, "nope"),
    ],
)
def test_bad_input_is_one_sentence(given, message):
    with pytest.raises(NormLabError, match=message):
        command(**given)
