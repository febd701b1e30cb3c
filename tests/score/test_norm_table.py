"""The table of norms: known records in, the sets that are not worse than the best out."""

import math

import pytest
from recorded_norms import MadeUp, accuracies, draws, near, times

from normlab.score import battery
from normlab.score.decide_norms import columns, norm_table
from normlab.score.norm_table import BEHIND, BEST, MISS, OPEN, Column, Entry
from normlab.score.ratios import profile, quantity, ratios
from normlab.score.rows import ROWS
from normlab.score.subject import subject_of
from normlab.score.table import Cell

ROW = {row.name: row for row in ROWS}
FRN, GROUP, LAYER, RMS, BATCH = (
    subject_of(kind) for kind in ("frn", "groupnorm", "layernorm", "rmsnorm", "batchnorm")
)


def column(name, norms, cells, **more):
    (found,) = columns([ROW[name]], MadeUp(norms, cells, **more))
    return found


def test_norms_that_nothing_beats_are_marked_and_others_say_what_does():
    images = {"frn": near(50), "groupnorm": near(49), "layernorm": near(40)}
    found = column("accuracy", [FRN, GROUP, LAYER], {"images": images})
    # A point is less than the margin of 2.
    assert found.best == ["frn", "groupnorm"] and found.ranked == ["frn", "groupnorm", "layernorm"]
    last = found.entries["layernorm"]
    assert last.standing == BEHIND and set(last.behind) == {"frn", "groupnorm"}
    # Of errors: 60 % and 51 % beside 50 %.
    assert last.ratio == pytest.approx(1.2) and found.entries["frn"].ratio == 1
    assert found.entries["groupnorm"].ratio == pytest.approx(1.02)


def test_a_wide_interval_excludes_nobody():
    images = {"frn": near(50), "groupnorm": accuracies(20, 60, 40, 30, 45)}
    found = column("accuracy", [FRN, GROUP], {"images": images})
    assert found.entries["groupnorm"].cell.value < 40
    assert found.best == ["frn", "groupnorm"]


def test_too_few_seeds_and_none_are_no_data():
    images = {"frn": near(50), "groupnorm": near(70)[:4]}
    found = column("accuracy", [FRN, GROUP, LAYER], {"images": images})
    assert found.best == ["frn"]
    some, none = found.entries["groupnorm"], found.entries["layernorm"]
    assert (some.standing, some.why) == (OPEN, "4 of 5 seeds in every arm")
    assert (none.standing, none.why) == (OPEN, "not recorded")
    assert some.ratio is none.ratio is None and found.entries["frn"].ratio == 1


def test_a_norm_that_cannot_or_does_not_train_is_infinitely_far():
    """It loses no point to a corruption, and wins nothing by that."""
    images = {"frn": near(50), "groupnorm": near(11)}
    for name in ("accuracy", "domain shift"):
        found = column(name, [FRN, GROUP], {"images": images})
        assert found.entries["groupnorm"].standing == MISS and found.best == ["frn"]
        assert found.entries["groupnorm"].ratio == math.inf
    text = {
        battery.text_arm(RMS, depth).name: [{"test_loss": 1.0, "trivial_loss": 3.0}] * 5
        for depth in battery.TEXT_DEPTHS
    }
    found = column("post-norm transformer without warm-up", [RMS, GROUP], {"text": text})
    assert found.best == ["rmsnorm"] and found.entries["rmsnorm"].cell.value == 12
    assert (
        found.entries["groupnorm"].ratio == math.inf and "future" in found.entries["groupnorm"].why
    )


def test_an_identity_holds_or_is_missed():
    found = column(
        "batch independence",
        [FRN, BATCH, LAYER],
        {"layer": {"frn": draws(0), "batchnorm": draws(8)}},
    )
    standings = [found.entries[name].standing for name in ("frn", "batchnorm", "layernorm")]
    assert standings == [BEST, MISS, OPEN]
    assert [found.entries[name].ratio for name in ("frn", "batchnorm")] == [1, math.inf]


def test_times_are_compared_side_by_side_whichever_came_first():
    alone = {"frn beside a copy": times(10), "groupnorm beside a copy": times(20)}
    alone["layernorm beside a copy"] = times(10)
    norms = [FRN, GROUP, LAYER]
    # Beside a copy alone nothing is compared.
    found = column("forward cost", norms, {"cost": alone})
    assert not found.best and "not measured beside" in found.entries["frn"].why
    assert found.entries["groupnorm"].ratio == pytest.approx(2)
    assert found.ranked == ["frn", "layernorm", "groupnorm"]
    pairs = {
        "frn beside groupnorm": times(0.5),
        "layernorm beside frn": times(1.01),
        "layernorm beside groupnorm": times(0.5),
    }
    found = column("forward cost", norms, {"cost": alone | pairs})
    assert found.best == ["frn", "layernorm"]
    assert found.entries["groupnorm"].behind == ("frn", "layernorm")


def test_under_smoke_nothing_is_decided():
    for name in ("accuracy", "domain shift"):
        found = column(name, [FRN], {"images": {"frn": near(11)}}, profile="smoke")
        assert not found.best and "no evidence" in found.entries["frn"].why


def test_every_norm_is_in_every_question():
    found = norm_table(MadeUp([FRN, BATCH], {}), ["syncbatchnorm is left out."])
    assert [one.row for one in found.columns] == list(ROWS)
    assert all(set(one.entries) == {"frn", "batchnorm"} for one in found.columns)
    assert {one.entries["batchnorm"].standing for one in found.columns} == {OPEN, MISS}


@pytest.mark.parametrize(
    ("name", "shown", "expected"),
    [
        ("accuracy", 60.0, 40.0),
        ("normalization batch 2", -3.0, 2.5),
        ("normalization batch 2", 7.0, 7.0),
        ("learning rates", 2.0, 0.5),
        ("initial gains", 0.0, math.inf),
        ("depth without skips", 20.0, 0.05),
        ("smallest normalization batch", 4.0, 4.0),
        ("forward cost", 12.0, 12.0),
    ],
)
def test_what_is_compared_of_a_question(name, shown, expected):
    assert quantity(ROW[name], shown) == expected


def test_ratios_are_to_the_best_and_a_miss_is_infinite():
    found = ratios(ROW["learning rates"], {"a": 2.0, "b": 1.0, "c": 0.0, "d": None})
    assert found == {"a": 1, "b": 2, "c": math.inf, "d": math.inf}
    assert set(ratios(ROW["accuracy"], {"a": None, "b": None}).values()) == {math.inf}
    assert ratios(ROW["accuracy"], {"a": 100.0, "b": 100.0, "c": 99.0}) == {
        "a": 1, "b": 1, "c": math.inf,
    }  # fmt: skip


def entries(**found):
    """Of ratios by norm; None: no data."""
    made = {}
    for name, ratio in found.items():
        standing = OPEN if ratio is None else MISS if ratio == math.inf else BEST
        made[name] = Entry(Cell(name, "", ""), standing, ratio)
    return made


def test_a_profile_counts_questions_and_misses_are_never_within():
    asked = [
        Column(ROW["accuracy"], entries(a=1.0, b=1.2, c=1.0)),
        Column(ROW["domain shift"], entries(a=math.inf, b=1.0, c=1.0)),
        Column(ROW["learning rates"], entries(a=1.0, b=4.0, c=None)),
        # Nobody has it: no best to be compared with.
        Column(ROW["foldability"], entries(a=math.inf, b=math.inf, c=None)),
    ]
    found = profile(asked, "abc")
    assert found.questions == ("accuracy", "domain shift", "learning rates")
    assert found.left_out == {"c": ("learning rates",)} and set(found.ratios) == {"a", "b"}
    assert [found.share("a", tau) for tau in (1, 4, 1e9)] == pytest.approx([2 / 3] * 3)
    assert [found.share("b", tau) for tau in (1, 1.2, 4)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert found.largest == 4
    taus, shares = zip(*found.steps("b", 8), strict=True)
    assert taus == (1, 1.2, 1.2, 4, 4, 8)
    assert shares == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3, 1, 1])


def test_a_profile_of_nothing_is_empty():
    found = profile([Column(ROW["accuracy"], entries(a=None))], "a")
    assert found.questions == () and found.share("a", 2) == 0 and found.largest == 1
