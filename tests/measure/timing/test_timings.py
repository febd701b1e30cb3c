"""Timed trials: what they record, what void cells do, and that their rules hold their level."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from normlab.claims.claim import Part
from normlab.claims.evidence import Evidence
from normlab.claims.protocols.timing import ratio_of
from normlab.claims.quantity import Quantity
from normlab.claims.registry import load_claim
from normlab.claims.rules import Between, Rule
from normlab.measure.timing import harness
from normlab.measure.timing import trials as timings
from normlab.measure.timing.depth import PAST, Block, sides
from normlab.records.record import Record
from normlab.records.verdict import INCONCLUSIVE, REFUTED, SUPPORTED

TIMED = (
    "bn-ln-cost-comparable",
    "gn-overhead",
    "ln-slower-spatial",
    "norm-cost-at-depth",
    "rmsnorm-7-64-faster",
)
BAND = (0.36, 0.93)


def evidence(logs, prefix="log ", suffix=""):
    """Of one arm, from log ratios (n, k)."""
    records = {
        seed: Record(
            str(seed),
            {},
            seed=seed,
            metrics={f"{prefix}cell {i}{suffix}": v for i, v in enumerate(row)},
        )
        for seed, row in enumerate(logs)
    }
    return Evidence({"arm": records})


@pytest.fixture
def made_up(monkeypatch):
    """Comparisons of given ratio and control, in turn; the calls are made once each."""
    given = []

    def compare_until_valid(subject, baseline, attempts, rounds, min_seconds, clock, twin):
        subject(), baseline(), twin()
        assert twin is not baseline
        ratio, control = given.pop(0) if given else (2.0, 1.0)
        return harness.Comparison(
            ratio, ratio, ratio, control, 1e-3, 1e-3 * ratio, rounds, ratio, ratio, attempts
        )

    monkeypatch.setattr(timings, "compare_until_valid", compare_until_valid)
    return given


@pytest.mark.parametrize("slug", TIMED)
def test_every_arm_of_every_claim_records_its_cells(slug, made_up):
    claim = load_claim(slug)
    assert claim.timed and claim.protocols["full"].looks.most >= 10
    for arm in claim.arms:
        reading = claim.trial({**claim.protocols["smoke"].options, **arm.options}, 0)
        metrics = reading.metrics
        logs = [name for name in metrics if name.startswith("log ")]
        assert len(logs) == metrics["cells"] > 0 and metrics["void"] == 0
        for name in logs:
            assert metrics[name] == math.log(2) and metrics["control" + name[3:]] == 1.0
            assert metrics["subject_us" + name[3:]] == 2 * metrics["baseline_us" + name[3:]] == 2000
        assert reading.device.startswith("cpu")


@pytest.mark.parametrize("slug", TIMED)
@pytest.mark.parametrize("profile", ["full", "gpu"])
def test_full_grids_are_what_the_claim_speaks_of(slug, profile):
    claim = load_claim(slug)
    protocol = claim.protocols[profile]
    assert protocol.options["device"] == {"full": "cpu", "gpu": "cuda"}[profile]
    for arm in claim.arms:
        grid = protocol.options["grids"][arm.options["grid"]]
        for shape in grid.get("shapes", ()):
            assert math.prod(shape) <= (2**22 if profile == "full" else 2**29) and min(shape) >= 1
        if slug == "ln-slower-spatial":
            assert all(shape[2] * shape[3] >= 1024 for shape in grid["shapes"])
        if slug == "rmsnorm-7-64-faster" and "shapes" in grid:
            assert {shape[1] for shape in grid["shapes"]} >= {512, 2048, 8192}


def test_a_void_cell_has_no_ratio_and_is_counted(made_up):
    made_up += [(2.0, 1.031), (3.0, 1.0), (4.0, 0.96)]
    grids = {"rows": timings.rows((2, 4, 8), (16,))}
    options = {
        **timings.QUICK,
        "grids": grids,
        "grid": "rows",
        "subject": ["rmsnorm", "ours"],
        "baseline": ["copy", ""],
    }
    metrics = timings.trial(options, 0).metrics
    logs = [value for name, value in metrics.items() if name.startswith("log ")]
    assert (metrics["cells"], metrics["void"]) == (3, 2)
    assert [value for value in logs if not math.isnan(value)] == [math.log(3)]
    kept = Record.from_json(Record("key", {}, metrics=metrics).to_json()).metrics
    assert list(kept.values()).count(None) == 2


def test_readings_take_the_same_cells_in_other_orders(made_up):
    grids = {"rows": timings.rows((2, 4, 8, 16), (16, 32), modes=["forward", "forward_backward"])}
    options = {
        **timings.QUICK,
        "grids": grids,
        "grid": "rows",
        "subject": ["rmsnorm", "ours"],
        "baseline": ["copy", ""],
    }
    orders = [
        [name for name in timings.trial(options, seed).metrics if name.startswith("log ")]
        for seed in range(3)
    ]
    assert sorted(orders[0]) == sorted(orders[1]) and orders[0] != orders[1] != orders[2]
    assert len(orders[0]) == 16


def test_a_gpu_protocol_reads_the_devices_clock(monkeypatch):
    seen = {}
    comparison = SimpleNamespace(valid=True)
    monkeypatch.setattr(
        timings, "compare_until_valid", lambda *a, **timing: seen.update(timing) or comparison
    )
    same = harness.Sides(*(lambda: 0 for _ in range(3)))
    timings.read(same, timings.GPU)
    assert seen["clock"].__name__ == "cuda_clock" and seen["rounds"] == timings.GPU["rounds"]
    timings.read(same, timings.CPU)
    assert seen["clock"] is None


def test_gain_is_what_the_norms_save_of_the_block(made_up):
    made_up += [(0.98, 1.0), (0.5, 1.0)]  # block, norms: each baseline takes 1 ms
    claim = load_claim("norm-cost-at-depth")
    options = {**claim.protocols["smoke"].options, "implementation": "torch.nn", "grid": "prefill"}
    metrics = claim.trial(options, 0).metrics
    assert metrics["gain 1x2x64"] == pytest.approx(math.log(1 - 0.5))
    assert metrics["share_of_layernorm 1x2x64"] == 1.0
    assert metrics["log 1x2x64 block"] == math.log(0.98)
    for controls in ((1.0, 1.2), (1.2, 1.0)):  # of either
        made_up += zip((0.98, 0.5), controls, strict=True)
        metrics = claim.trial(options, 0).metrics
        assert math.isnan(metrics["gain 1x2x64"])
        assert math.isnan(metrics["share_of_layernorm 1x2x64"])


def test_a_decoding_step_is_the_next_token_of_a_prefill():
    torch.manual_seed(0)
    block, norms = Block(128), (torch.nn.LayerNorm(128), torch.nn.LayerNorm(128))
    x = torch.randn(2, 6, 128)
    whole = block(x, norms, None)
    _, keys, values = block.qkv(norms[0](x[:, :5])).view(2, 5, 3, 2, 64).permute(2, 0, 3, 1, 4)
    torch.testing.assert_close(block(x[:, 5:], norms, (keys, values)), whole[:, 5:])
    torch.testing.assert_close(block(x[:, :5], norms, None), whole[:, :5])  # causal
    for implementation in ("ours", "torch.nn"):
        calls = sides(implementation, (2, 1, 64), "float32", "cpu")
        assert calls["block"][0]().shape == (2, 1, 64) and len(calls["norms"][1]()) == 2
    assert PAST == 512


def decide(quantity: Quantity, rule: Rule, logs):
    return Part("ratio", "the ratio is so", quantity, rule).decide(logs)


def test_void_readings_never_count():
    quantity, rule = ratio_of("arm"), Between(*BAND)
    logs = np.full((5, 4), math.log(0.7)) + 0.001 * np.arange(5)[:, None]
    logs[1, 0] = math.nan
    assert quantity.read(evidence(logs)).shape == (5,)
    assert decide(quantity, rule, evidence(logs)).verdict == SUPPORTED
    logs[:3, 1] = math.nan  # two readings are left: the cell is out, whatever it says
    logs[3:, 1] = math.log(50.0)
    assert decide(quantity, rule, evidence(logs)).verdict == SUPPORTED
    logs[:, 1:] = math.nan
    finding = decide(quantity, rule, evidence(logs))
    assert finding.verdict == INCONCLUSIVE and "3 of 4 cells are void" in finding.text


def test_a_void_reading_does_not_change_which_cells_a_mean_is_over():
    quantity = ratio_of("arm")
    logs = np.log(np.tile([0.5, 0.9, 1.1, 2.0], (5, 1)))
    mean = logs[0].mean()
    assert np.allclose(quantity.read(evidence(logs)), mean)
    logs[2, 3] = math.nan
    assert np.allclose(quantity.read(evidence(logs)), mean)


def test_a_ratio_is_of_the_cells_of_one_kind_and_shows_how_unlike_they_are():
    rule = Between(0.0, 0.97)
    kinds = {"forward": 0.5, "forward_backward": 1.3}
    logs = {f"log 4x64 float32 {kind}": math.log(ratio) for kind, ratio in kinds.items()}
    records = {seed: Record(str(seed), {}, seed=seed, metrics=logs) for seed in range(5)}
    one = Evidence({"arm": records})
    assert decide(ratio_of("arm", "forward"), rule, one).verdict == SUPPORTED
    backward = decide(ratio_of("arm", "forward_backward"), rule, one)
    assert backward.verdict == REFUTED and "1 cells from 1.3 to 1.3" in backward.text
    assert "2 cells from 0.5 to 1.3" in decide(ratio_of("arm"), rule, one).text
    missing = decide(ratio_of("arm", "bfloat16"), rule, one)
    assert missing.verdict == INCONCLUSIVE and "no cell of bfloat16 was measured" in missing.text


@pytest.mark.parametrize(
    ("quantity", "prefix", "label"),
    [
        (ratio_of("arm"), "log ", "ratio of times"),
        (ratio_of("arm", prefix="gain "), "gain ", "ratio by the norms alone"),
    ],
)
def test_a_card_shows_the_ratios_that_a_rule_reads(monkeypatch, quantity, prefix, label):
    shown = []
    monkeypatch.setattr(Evidence, "show", lambda self, *given: shown.append(given))
    quantity.read(evidence(np.log([[0.5, 2.0], [0.8, 0.8]]), prefix=prefix))
    ((arm, words, values),) = shown
    assert (arm, words) == ("arm", label) and np.allclose(values, [1.0, 0.8])
