"""Advice follows the verdicts: their opposite when they flip, and nothing where they are open."""

import itertools
from dataclasses import replace

import pytest

from normlab.claims.registry import load_claim, slugs
from normlab.errors import NormLabError
from normlab.norms.registry import declared_kinds
from normlab.records.norm_choices import FILE, NormChoice, read_norm_choices, to_json
from normlab.records.store import RESULTS
from normlab.records.verdict import PartVerdict, Verdict, read_verdicts
from normlab.tools.advise import judges
from normlab.tools.advise.answer import PLACEMENTS, advise
from normlab.tools.advise.situation import INPUTS, Situation
from normlab.tools.advise.table import TABLE

SITUATIONS = [
    Situation(name, batch, varying, devices, fold, depth, warmup)
    for name, batch, varying, (devices, fold), depth, warmup in itertools.product(
        INPUTS, (1, 4, 16, 64), (False, True), ((1, False), (4, True)), (4, 12, 48), (False, True)
    )
]
TWO = Situation("images", 2, False, 1, False, 20, False)


def row(slug, name, verdict, effect=None, low=None, high=None):
    part = PartVerdict(name, "", "", "", verdict, effect, low, high, "points", 5)
    return Verdict(
        slug,
        "",
        (),
        verdict,
        (part,),
        profile="cpu",
        n=5,
        device="cpu (x86_64, 1 thread)",
        data=("made up",),
    )


def interaction(verdict, *numbers):
    return {"gn-ln-fix-small-batch": row("gn-ln-fix-small-batch", "interaction", verdict, *numbers)}


def scores(items):
    return {item.name: item.score for item in items}


def test_a_verdict_that_flips_flips_the_advice():
    for verdict in ("supported", "partly supported"):
        assert scores(advise(TWO, interaction(verdict, 6, 2, 10)).norms) == {
            "groupnorm": 1,
            "batchnorm": -1,
        }
    flipped = advise(TWO, interaction("refuted", -6, -10, -2))
    assert scores(flipped.norms) == {"batchnorm": 1, "groupnorm": -1}
    sentence = flipped.norms[0].pros[0].sentence
    assert sentence.startswith("going from batches of 32 to 2 costs GroupNorm more")
    assert "\N{MINUS SIGN}6.0 (\N{MINUS SIGN}10.0 to \N{MINUS SIGN}2.0) points" in sentence


@pytest.mark.parametrize(
    ("verdict", "numbers"),
    [
        ("refuted", (0.1, -1, 1)),
        ("refuted", (0.5, 0.2, 0.8)),
        ("supported", (-6, -10, -2)),
        ("supported", (6,)),
    ],
)
def test_a_direction_that_the_numbers_do_not_show_is_no_reason(verdict, numbers):
    assert advise(TWO, interaction(verdict, *numbers)).norms == []


def test_without_a_decision_there_is_no_reason_but_a_gap():
    for rows in (interaction("inconclusive", 6, 2, 10), interaction("no data"), {}):
        advice = advise(TWO, rows)
        assert advice.norms == [] and advice.placements == [] and advice.notes == []
        parts = (gap.part for gap in advice.missing if gap.slug == "gn-ln-fix-small-batch")
        assert next(parts) == "interaction"
    reasons = (gap.why for gap in advise(TWO, {}).missing if "below" in gap.slug)
    assert "normlab run bn-batch-below-16" in next(reasons)


@pytest.mark.parametrize(
    ("judge", "verdict", "numbers", "side"),
    [
        (judges.by_ratio, "supported", (2, 1.5, 3), 1),
        (judges.by_ratio, "refuted", (0.5, 0.4, 0.6), -1),
        (judges.by_ratio, "refuted", (1.2, 1.1, 1.3), 0),
        (judges.by_identity, "refuted", (0.7, None, None), -1),
        (judges.by_equivalence, "supported", (0.01, 0.005, 0.015), 0),
        (judges.by_equivalence, "refuted", (-0.2, -0.3, -0.1), -1),
        (judges.no_worse, "partly supported", (1.05, 1.03, 1.08), 0),
        (judges.no_worse, "refuted", (2, 1.5, 3), 1),
        (judges.too_deep(18), "supported", (0.0, 0.0, 0.3), 1),
        (judges.too_deep(18), "refuted", (0.9, 0.7, 1.0), 0),
        (judges.too_deep(18), "inconclusive", (0.3, 0.1, 0.7), None),
        (judges.by_time, "partly supported", (0.8, 0.7, 0.9), 1),
        (judges.by_time, "supported", (0.9, 0.7, 1.1), 0),
        (judges.by_time, "refuted", (1.4, 1.2, 1.6), -1),
        (judges.as_said, "no data", (None, None, None), None),
    ],
)
def test_judges(judge, verdict, numbers, side):
    part = PartVerdict("", "", "", "", verdict, *numbers)
    assert judge(part, Situation("causal", 32, False, 1, False, 24, False)) == side


def test_ranking_is_reasons_for_less_reasons_against_then_name():
    advice = advise(TWO, read_verdicts(RESULTS))
    ranked = [(-(len(item.pros) - len(item.cons)), item.name) for item in advice.norms]
    assert ranked == sorted(ranked) and len(ranked) > 3


RECURRENT, CAUSAL = (
    Situation(name, 32, False, 1, False, 12, False) for name in ("recurrent", "causal")
)


@pytest.mark.parametrize(
    ("slug", "part", "measured", "elsewhere"),
    [
        ("bn-rnn-ineffective", "naive", RECURRENT, {"batch": 1}),
        ("bn-rnn-ineffective", "layernorm", RECURRENT, {"batch": 4}),
        ("bn-causal-leak", "text", replace(CAUSAL, batch=1), {"batch": 4}),
        ("bn-causal-leak", "prefix, SGD batch 2", CAUSAL, {"batch": 1}),
        ("peri-ln-steadier", "learning rate", CAUSAL, {"warmup": True}),
        ("qknorm-high-lr", "sensitivity", CAUSAL, {"warmup": True}),
        (
            "layernorm-scaling-depth",
            "gpt2",
            replace(CAUSAL, warmup=True),
            {"warmup": False},
        ),
    ],
)
def test_a_verdict_is_a_reason_only_where_it_was_measured(slug, part, measured, elsewhere):
    rows = {slug: row(slug, part, "supported", 6, 2, 10)}
    found = advise(measured, rows)
    assert found.norms or found.placements or found.notes
    found = advise(replace(measured, **elsewhere), rows)
    assert not (found.norms or found.placements or found.notes)
    gaps = [gap for gap in found.missing if (gap.slug, gap.part) == (slug, part)]
    assert any(gap.why.startswith("measured") for gap in gaps)


def test_batchnorm_is_not_put_before_none_where_it_cannot_train():
    rows = {"bn-rnn-ineffective": row("bn-rnn-ineffective", "naive", "refuted", -6, -10, -2)}
    assert scores(advise(RECURRENT, rows).norms) == {"batchnorm": 1, "none": -1}
    assert advise(replace(RECURRENT, batch=1), rows).norms == []


def test_what_no_part_of_a_claim_measures_is_missing():
    def gaps(situation):
        whole_claims = (gap for gap in advise(situation, {}).missing if gap.part is None)
        return {(gap.slug, name) for gap in whole_claims for name in gap.names}

    norms = {
        ("ln-cannot-fold", kind) for kind in ("groupnorm", "instancenorm", "channel_layernorm")
    }
    assert norms <= gaps(replace(TWO, fold=True)) and not norms & gaps(TWO)
    assert ("ln-cannot-fold", "groupnorm") in gaps(replace(RECURRENT, fold=True))
    assert ("in-hurts-classification", "groupnorm") in gaps(TWO)


def test_every_reason_is_a_decided_row_of_the_results():
    """In all kinds of situations verdict, numbers and direction are those on record."""
    rows = read_verdicts(RESULTS)
    seen = set()
    for situation in SITUATIONS:
        advice = advise(situation, rows, declared_kinds())
        assert bool(advice.placements) <= situation.transformer
        assert {item.name for item in advice.placements} <= set(PLACEMENTS)
        reasons = list(advice.notes)
        for item in (*advice.norms, *advice.placements):
            reasons += item.pros + item.cons
        for reason in reasons:
            found = rows[reason.slug]
            if reason.part is not None:  # else all parts, in words
                found = found.part(reason.part)
                numbers = found.effect, found.low, found.high
                assert (reason.effect, reason.low, reason.high) == numbers
            assert found.verdict == reason.verdict in judges.DECIDED and reason.device
            assert "{" not in reason.sentence
            seen.add(reason.slug)
        for gap in advice.missing:
            assert gap.slug in {entry.slug for entry in TABLE} and gap.why
    # What is decided is told in some situation; of these parts only batches that are left out are.
    told = [entry for entry in TABLE if entry.part not in ("knee", "above")]
    assert seen >= {entry.slug for entry in told if verdict_of(entry, rows) in judges.DECIDED}
    assert seen


def verdict_of(entry, rows):
    found = rows[entry.slug]
    return (found if entry.part is None else found.part(entry.part)).verdict


def test_entries_name_parts_and_norms_that_exist():
    for entry in TABLE:
        if entry.slug in slugs() and entry.part is not None:
            assert entry.part in {part.name for part in load_claim(entry.slug).parts}, entry
        known = PLACEMENTS if entry.on == "placements" else {*declared_kinds(), "syncbatchnorm"}
        assert set(entry.favours + entry.against) <= set(known)
        elsewhere = entry.part in ("knee", "above")  # of batches that SITUATIONS leave out
        assert elsewhere or any(entry.when(situation) for situation in SITUATIONS), entry


def chosen(modality, batch, device, *norms):
    return NormChoice(
        modality, batch, device, "accuracy", "2 points", "%", norms, norms[:1],
        {norm: (50.0, 49.0, 51.0) for norm in norms}, 9, 5, "a CNN", "quick",
    )  # fmt: skip


CHOICES = [
    chosen("images", 1, "here", "frn"),
    chosen("images", 2, "here", "groupnorm", "frn"),
    chosen("images", 2, "there", "frn"),
    chosen("images", 8, "here", "batchnorm"),
    chosen("text", 1, "here", "layernorm"),
]


@pytest.mark.parametrize(
    ("input_", "batch", "found"),
    [
        ("images", 2, [("groupnorm", "frn"), ("frn",)]),
        ("images", 5, [("groupnorm", "frn"), ("frn",)]),  # never by a larger batch
        ("images", 64, [("batchnorm",), ("frn",)]),
        ("causal", 64, [("layernorm",)]),
        ("sequences", 64, []),  # the battery has no encoder
        ("vectors", 64, []),
    ],
)
def test_the_battery_names_its_norms_and_moves_no_rank(input_, batch, found):
    situation, rows = replace(TWO, input=input_, batch=batch), read_verdicts(RESULTS)
    advice = advise(situation, rows, choices=CHOICES)
    assert [choice.norms for choice in advice.battery] == found
    assert scores(advice.norms) == scores(advise(situation, rows).norms)
    told = advice.as_json()["battery"]
    assert [row["batch"] for row in told] == [choice.batch for choice in advice.battery]


def test_choices_are_kept_as_they_are(tmp_path):
    assert read_norm_choices(tmp_path) == []
    (tmp_path / FILE).write_text(to_json(CHOICES))
    kept = read_norm_choices(tmp_path)
    assert [one.sentence for one in kept] == [one.sentence for one in CHOICES]
    assert [one.evidence for one in kept] == [one.evidence for one in CHOICES]
    (tmp_path / FILE).write_text("{")
    with pytest.raises(NormLabError, match="normlab report"):
        read_norm_choices(tmp_path)
