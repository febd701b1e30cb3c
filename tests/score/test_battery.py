"""The battery: what is measured of known layers, which cells a norm enters, resuming, and how an
entry is decided."""

import platform

import numpy as np
import pytest
import torch
from torch import nn

from normlab.claims.design import Design
from normlab.claims.evidence import Evidence, Missing
from normlab.config.compose import compose, to_dict
from normlab.errors import NormLabError
from normlab.measure.timing import harness
from normlab.norms import KINDS
from normlab.records.provenance import code_state
from normlab.records.record import Record, trial_key
from normlab.records.store import Store
from normlab.score import battery, values
from normlab.score.bound import Bound
from normlab.score.decide import score, strongest_word
from normlab.score.measures import layer_metrics, low_precision_error
from normlab.score.rows import ROWS
from normlab.score.store import ScoreStore
from normlab.score.subject import subject_of
from normlab.score.table import BETTER, SAME, WORSE
from normlab.score.trials import cost

ROW = {row.name: row for row in ROWS}
FOLDS = {"batchnorm", "batchrenorm", "none"}
ALONE = sorted(set(KINDS) - {"syncbatchnorm"})  # which needs other processes


@pytest.mark.parametrize("kind", ALONE)
def test_measures_agree_with_what_kinds_declare(kind):
    spec, metrics = KINDS[kind], layer_metrics(subject_of(kind).measured, seed=3)
    assert (metrics["batch_error"] > ROW["batch independence"].bound) == spec.batch_dependent
    if "NTC" in spec.layouts:
        assert (metrics["causal_error"] > ROW["causal safety"].bound) != spec.causal_safe
    else:
        assert metrics["causal_error"] is None
    assert (metrics["fold_error"] < ROW["foldability"].bound) == (kind in FOLDS)
    assert metrics["low_precision_error"] < ROW["16-bit inputs"].bound


@pytest.mark.parametrize(
    "module, formula",  # with an output of 0, and with one that is not a number
    [
        ("half_zero", "x / x.square().mean(1, keepdim=True).sqrt()"),
        ("half_nan", "x / x.abs().mean(1, keepdim=True) * (x.square() / x.square())"),
    ],
)
def test_a_layer_that_squares_in_half_precision_is_caught(own, monkeypatch, module, formula):
    (own / f"{module}.py").write_text(
        "from torch import nn\n\n\nclass Naive(nn.Module):\n"
        "    def __init__(self, num_features):\n        super().__init__()\n\n"
        f"    def forward(self, x):\n        return {formula}\n"
    )
    monkeypatch.syspath_prepend(str(own))
    assert layer_metrics(subject_of(f"{module}.Naive").measured, seed=0)["low_precision_error"] == 1


@pytest.mark.parametrize("error", [RuntimeError, ValueError, NormLabError])
def test_a_layer_that_refuses_half_precision_counts_as_wrong(error):
    class Refusing(nn.Module):
        def forward(self, x):
            if x.element_size() == 2:
                raise error("not in 16 bits.")
            return x

    assert low_precision_error(Refusing(), (8, 32), torch.Generator().manual_seed(0)) == 1


def test_norms_of_other_options_have_other_files():
    names = [["alpha=1"], ["alpha=-1"], ["alpha=1e-07"], ["alpha=0.5"]]
    slugs = [subject_of("dyt", options).slug for options in names]
    assert slugs == ["dyt-alpha-1", "dyt-alpha-minus1", "dyt-alpha-1e-07", "dyt-alpha-0.5"]


def test_only_norms_over_samples_run_several_batches(own, monkeypatch):
    monkeypatch.syspath_prepend(str(own))
    layernorm, batchnorm, moving = (
        subject_of(name) for name in ("layernorm", "batchnorm", "own_norms.Moving")
    )
    assert battery.batch_arm(layernorm, 2) == battery.base_arm(layernorm)
    assert "norm.ghost_batch=2" in battery.batch_arm(batchnorm, 2).overrides
    assert {"data.batch_size=2", "trainer.accumulate=32"} <= set(
        battery.batch_arm(moving, 2).overrides
    )
    assert len(battery.image_arms(batchnorm)) == len(battery.image_arms(layernorm)) + len(
        battery.GHOSTS
    )
    assert len(battery.image_arms(moving)) == len(battery.image_arms(layernorm)) + len(
        battery.ACCUMULATED
    )


def test_norms_that_cannot_enter_say_why(own, monkeypatch):
    monkeypatch.syspath_prepend(str(own))
    assert "sequences" in battery.no_text(subject_of("frn")) and not battery.no_images(
        subject_of("frn")
    )
    assert "future" in battery.no_text(subject_of("groupnorm"))
    assert "images" in battery.no_images(subject_of("torch.nn.BatchNorm1d"))
    slugs = {claim.slug for claim in battery.battery(subject_of("frn"), [subject_of("groupnorm")])}
    assert slugs == {"layer", "cost", "frn-images", "groupnorm-images"}


def test_cells_differ_and_the_base_cell_is_shared():
    for claim in battery.battery(subject_of("batchnorm"), [subject_of("rmsnorm")]):
        described = {(arm.overrides, str(arm.options), arm.evaluations) for arm in claim.arms}
        assert len(described) == len({arm.name for arm in claim.arms}) == len(claim.arms), (
            claim.slug
        )
    assert battery.gain_arm(subject_of("dyt"), 1.0) == battery.depth_arm(subject_of("dyt"), 5)


@pytest.mark.parametrize(
    "name, options",
    [
        ("nope", []),
        ("dyt", ["beta=1"]),
        ("dyt", ["alpha"]),
        ("dyt", ["alpha=[1"]),
        ("groupnorm", ["num_groups=abc"]),
        ("no_such_module.Norm", []),
        ("syncbatchnorm", []),
    ],
)
def test_an_unfit_norm_is_refused_in_a_sentence(name, options):
    with pytest.raises(NormLabError):
        subject_of(name, options)


def test_options_are_numbers_lists_and_texts_as_they_are_written(own, monkeypatch):
    monkeypatch.syspath_prepend(str(own))
    given = subject_of("own_norms.Optional", ["eps=1e-3", "axes=[1,2]", "name=a,b", "affine=false"])
    assert given.options["options"] == {"eps": 1e-3, "axes": [1, 2], "name": "a,b", "affine": False}
    assert compose(given.overrides).norm.options["options"] == given.options["options"]
    plain = subject_of("own_norms.Optional", ["eps=1e-3", "axes=[1,2]", "name=a,b"])
    keys = {trial_key(to_dict(compose(one.overrides))) for one in (given, plain)}
    assert len(keys) == 2  # a false is a choice, too


def test_norms_are_compared_over_the_batches_that_both_ran(own, monkeypatch):
    """A norm without ghost batches runs 2 and 8 only: an equal one with a knee at 4 is neither
    better nor worse."""
    monkeypatch.syspath_prepend(str(own))
    batchnorm, moving, layernorm = (
        subject_of(name) for name in ("batchnorm", "own_norms.Moving", "layernorm")
    )
    accuracy = {1: 0.1, 2: 0.1, 4: 0.5, 8: 0.5, 16: 0.5, 64: 0.5}
    cells = {
        battery.batch_arm(one, n).name: [accuracy[n]] * 5
        for one in (batchnorm, moving)
        for n in (*battery.sizes(one), 64)
    }
    found = evidence(**cells, layernorm=[0.5] * 5)
    assert (values.smallest_batch(found, batchnorm) == 2).all() and (
        values.smallest_batch(found, moving) == 3
    ).all()
    assert (sum(values.smaller_batch(found, moving, batchnorm)) == 0).all()
    assert (sum(values.smaller_batch(found, layernorm, batchnorm)) == -2).all()
    # Nothing below 2 is known of it.
    assert (sum(values.smaller_batch(found, layernorm, moving)) == -2).all()


def test_cost_counts_a_void_timing_and_leaves_its_ratio_out(monkeypatch):
    options = {
        "norm": subject_of("dyt").measured,
        "baseline": subject_of("frn").measured,
        "rounds": 2,
    }
    options["min_seconds"] = 1e-5
    monkeypatch.setattr(harness, "CONTROL_TOLERANCE", 1e9)
    kept = cost.trial(options, 0)
    assert kept["void"] == 0 and kept["forward_ratio"] > 0
    monkeypatch.setattr(harness, "CONTROL_TOLERANCE", -1)
    void = cost.trial(options, 0)
    assert void["void"] == 2 and void["forward_ratio"] is None


def evidence(**arms):
    """Arms of test accuracies by seed."""
    return Evidence(
        {
            arm: {
                s: Record("", {}, seed=s, status="ok", metrics={"test_accuracy": v})
                for s, v in enumerate(found)
            }
            for arm, found in arms.items()
        }
    )


def test_a_net_that_does_not_train_gets_no_credit_for_losing_nothing():
    dead, frn = evidence(frn=[0.1, 0.11, 0.1, 0.1, 0.12]), subject_of("frn")
    with pytest.raises(Missing, match="nothing to lose"):
        values.smallest_batch(dead, frn)
    assert (values.smallest_batch(evidence(frn=[0.3] * 5), frn) == 0).all()


def test_widths_and_depths_count_only_what_trains():
    dyt = subject_of("dyt")
    at = {f"dyt, rate {rate:g}": [0.1] * 5 for rate in battery.RATES}
    assert (ROW["learning rates"].value(evidence(**at), dyt) == 0).all()
    at |= {"dyt, rate 0.1": [0.4] * 5, "dyt, rate 0.3": [0.36] * 5, "dyt, rate 1": [0.34] * 5}
    assert (ROW["learning rates"].value(evidence(**at), dyt) == 1.0).all()
    depths = {
        "dyt": [0.3] * 5,
        "dyt, depth 10": [0.1] * 5,
        "dyt, depth 20": [0.3] * 5,
        "dyt, depth 40": [0.1] * 5,
    }
    assert (ROW["depth without skips"].value(evidence(**depths), dyt) == np.log2(5)).all()


@pytest.mark.parametrize(
    "found, verdict",
    [
        ([3, 4, 3, 4, 3], "supported"),
        ([7, 8, 7, 8, 7], "refuted"),
        ([1, 9, 2, 8, 5], "inconclusive"),
        ([3], "inconclusive"),
        ([3, 3], "inconclusive"),
    ],
)
def test_a_bound_is_decided_by_the_interval_and_by_three_seeds_or_more(found, verdict):
    values = np.array(found, dtype=float)
    assert Bound(ROW["domain shift"]).decide(values, "points").verdict == verdict


def test_the_strongest_decided_word_is_said():
    assert strongest_word({BETTER: "inconclusive", WORSE: "refuted", SAME: "supported"}) == (
        SAME,
        "supported",
    )
    assert strongest_word({BETTER: "refuted", WORSE: "supported", SAME: "refuted"}) == (
        WORSE,
        "supported",
    )
    assert strongest_word({BETTER: "inconclusive", WORSE: "refuted", SAME: "inconclusive"}) == (
        "",
        "inconclusive",
    )


def fill(store, subject, seeds, accuracy, code):
    """Records of the base cell of one norm."""
    claim = battery.trained_claim(subject, "images", [battery.base_arm(subject)])
    known = {}
    for _ in range(8):  # tuning, its extensions, evaluation
        for job in Design(claim, claim.protocols["quick-embedded"], seeds).progress(known).jobs:
            metrics = {
                "val_accuracy": 0.5,
                "test_accuracy": accuracy + 0.001 * job.seed,
                "corrupted_accuracy": 0.2,
            }
            known[job.key] = Record(
                job.key,
                {},
                claim.slug,
                job.arm,
                job.seed,
                "evaluate",
                "ok",
                metrics=metrics,
                code=code,
                device=f"cpu ({platform.machine()}, 1 thread)",
            )
    for record in known.values():
        store.append(claim.slug, record)


def test_no_entry_without_all_seeds_in_both_arms(tmp_path, monkeypatch):
    monkeypatch.delenv("NORMLAB_DATA", raising=False)
    monkeypatch.setattr("normlab.claims.profiles.is_here", lambda data: False)
    monkeypatch.setattr("normlab.score.decide.ROWS", ROWS[:1])

    frn, groupnorm = subject_of("frn"), subject_of("groupnorm")

    def entry(seeds):
        with ScoreStore(tmp_path / str(seeds), frn) as store:
            fill(store, frn, 5, 0.5, code_state())
            fill(store, groupnorm, seeds, 0.4, code_state())
        return score(frn, [groupnorm], "quick", store).lines[0]

    line = entry(4)
    assert (
        line.cells["frn"].verdict == "supported"
        and line.cells["groupnorm"].verdict == "inconclusive"
    )
    assert (
        line.comparisons["groupnorm"].verdict == "inconclusive"
        and not line.comparisons["groupnorm"].word
    )
    line = entry(5)
    assert line.cells["groupnorm"].verdict == "supported"
    assert (line.comparisons["groupnorm"].word, line.comparisons["groupnorm"].verdict) == (
        BETTER,
        "supported",
    )


def test_a_norm_that_was_edited_runs_again_and_its_references_do_not(tmp_path):
    frn, groupnorm = subject_of("frn"), subject_of("groupnorm")
    with ScoreStore(tmp_path, frn) as store:
        fill(store, frn, 5, 0.5, {"source": "an older one"})
        fill(store, groupnorm, 5, 0.5, {"source": "an older one"})
        for norm in (frn, groupnorm):
            config = {"trial": "layer", "options": {"norm": norm.measured}}
            draw = Record(f"draw of {norm.name}", config, "layer", norm.name, status="ok")
            store.append("layer", draw)
        left = {(record.claim, record.arm) for record in store.done().values()}
    assert left == {("groupnorm-images", "groupnorm"), ("layer", "groupnorm")}


def test_void_timings_and_other_machines_are_measured_again(tmp_path):
    frn = subject_of("frn")
    with ScoreStore(tmp_path, frn) as store:
        for key, metrics, device in (
            ("a", {"void": 1}, ""),
            ("b", {"void": 0}, ""),
            ("c", {}, "cpu (other, 1 thread)"),
            ("d", {}, "2 x cpu (other, 1 thread)"),
            ("e", {"void": 0}, "NVIDIA H200"),
        ):
            store.append(
                "cost", Record(key, {}, "cost", status="ok", metrics=metrics, device=device)
            )
        assert set(store.done()) == {"b", "e"}
        assert store.void(["frn beside a copy"]) == 0 and store.void([None]) == 1


def test_a_score_runs_once_and_is_taken_up_again(scored, run_score, own):
    assert scored.returncode == 0, scored.stderr
    assert "0 failed" in scored.stdout
    records = Store(own / "results" / "score").records
    assert {record.claim for record in records.values()} == {
        "layer",
        "groupnorm-images",
        "own_norms.MeanAbs-eps-0.01-images",
        "own_norms.MeanAbs-eps-0.01-text",
    }
    again = run_score("own_norms.MeanAbs", "--against", "groupnorm", "--option", "eps=0.01")
    assert again.returncode == 0 and "\n0 trials in" in again.stdout, again.stdout + again.stderr
    assert Store(own / "results" / "score").records.keys() == records.keys()
