"""The figure of timed trials, and verdicts by device, on records that nobody measured."""

import math
import re

import pytest
from made_up import DEVICE, better, claim, fill, record

from normlab.claims.claim import Arm, Part, Protocol
from normlab.claims.design import Design
from normlab.claims.figure import Band, Cells
from normlab.claims.looks import Looks
from normlab.claims.protocols.timing import ratio_of
from normlab.claims.registry import load_claim
from normlab.claims.rules import Between
from normlab.claims.trials import collect
from normlab.claims.verdicts import verdict, verdicts
from normlab.records.store import Store
from normlab.records.verdict import OtherVerdict
from normlab.report.build import built
from normlab.report.cell_figure import size_of_cell
from normlab.report.figures import draw


def page(folder, one):
    return built(folder, claims=[one])[folder / "report" / "claims" / f"{one.slug}.html"]


# Of every kind that the claims' clauses ask for.
KINDS = [
    f"{dtype} {mode} {memory_format}".strip()
    for dtype in ("float32", "bfloat16")
    for mode in ("forward", "forward_backward")
    for memory_format in ("", "channels_first", "channels_last")
]


def cells(ratio, void=()):
    sizes = (512, 2048)
    return {
        f"log 1024x{x} {kind}": math.nan if x in void else math.log(ratio)
        for x in sizes
        for kind in KINDS
    }


GRID = {"grids": {"rows": {"shapes": [[1024, 512], [1024, 2048]]}}, "grid": "rows"}


def with_grid(metrics, options=GRID):
    """Fields of a record whose trial was given these cells."""
    return {"metrics": metrics, "config": {"options": options}}


def figure(one, store):
    (row,) = verdicts([one], store)
    return draw(one, collect(one, row, store))


def test_cells_have_a_line_for_each_arm_and_the_band(tmp_path):
    part = Part("inside", "inside", ratio_of("copies, a"), Between(0.36, 0.93))
    band = Band(0.36, 0.93, "7 to 64 % faster")
    shown = Cells("width of a row", "time in copies", ("copies, a", "copies, b"), band)
    arms = (Arm("copies, a", ("norm=frn",)), Arm("copies, b"), Arm("other", ("norm=none",)))
    one = claim(figure=shown, arms=arms, rules=(part,), parts=1)

    def measure(job, noise):
        void = (512,) if (job.arm, job.seed) == ("copies, b", 2) else ()
        return with_grid(cells(0.7 * math.exp(0.01 * noise), void))

    store = fill(tmp_path, one, measure)
    svg = figure(one, store)
    assert re.findall(r"</svg>([^<]*)</li>", svg) == ["copies, a", "copies, b"]  # not `other`
    assert (
        svg.count("<title>copies, a, 512") == 5
        and svg.count("<title>copies, b, 512") == 4
        and svg.count("<title>copies, b, 2,048") == 5
    )
    assert 'class="zone yes"' in svg and "7 to 64 % faster" in svg
    assert (
        ">time in copies (log scale)</p>" in svg
        and ">width of a row</p>" in svg
        and "nan" not in svg
    )
    assert "ratio of times" in page(tmp_path, one)  # the strip of what the rule read


def test_the_size_of_a_cell_is_the_last_of_its_shape():
    step = {"memory_format": "channels_last", "batch": 16, "width": 8, "size": 32}
    shapes = [[64, 1024], [4, 64, 16, 32]]
    options = {"grids": {"maps": {"shapes": shapes}, "model": {"steps": [step]}}}
    maps, model = {**options, "grid": "maps"}, {**options, "grid": "model"}
    assert size_of_cell("64x1024 float32 forward", maps) == 1024
    assert size_of_cell("4x64x16x32 bfloat16 forward_backward channels_last", maps) == 32
    name = "memory_format channels_last, batch 16, width 8, size 32"
    assert size_of_cell(name, model) == 32
    kept = {"grids": {"model": {"steps": [dict(sorted(step.items()))]}}, "grid": "model"}
    assert size_of_cell(name, kept) == 32  # as a record has it


@pytest.mark.parametrize(
    ("ratio", "expected"), [(0.7, "supported"), (1.0, "refuted"), (0.2, "refuted")]
)
def test_rmsnorm_claim_from_made_up_records(ratio, expected, tmp_path):
    one = load_claim("rmsnorm-7-64-faster")
    store = fill(
        tmp_path, one, lambda job, noise: with_grid(cells(ratio * math.exp(0.005 * noise)))
    )
    assert verdict(one, store).verdict == expected
    assert f"{one.statement}</h1>" in page(tmp_path, one) and figure(one, store).count(
        "<polyline"
    ) == len(one.arms)


@pytest.mark.parametrize(
    "slug", ["bn-ln-cost-comparable", "gn-overhead", "ln-slower-spatial", "norm-cost-at-depth"]
)
def test_pages_of_the_other_timed_claims(slug, tmp_path):
    one = load_claim(slug)

    def measure(job, noise):
        log = math.log(1.3) + 0.005 * noise
        metrics = {
            "log 4x64x32x32 float32 forward block": log,
            "gain 4x64x32x32": log,
        }
        sides = (8, 32, 128)
        for side in sides:
            metrics |= {f"log 4x64x{side}x{side} {kind}": log for kind in KINDS}
        grid = {"shapes": [[4, 64, side, side] for side in sides]}
        return with_grid(metrics, {"grids": {"maps": grid}, "grid": "maps"})

    store = fill(tmp_path, one, measure)
    assert verdict(one, store).verdict == (
        "refuted" if slug == "norm-cost-at-depth" else "supported"
    )
    assert "nan" not in page(tmp_path, one)


def test_most_void_is_no_data_and_says_to_run_again(tmp_path):
    one = load_claim("rmsnorm-7-64-faster")

    def measure(job, noise):
        return with_grid(cells(0.7, void=(512, 2048)))

    store = fill(tmp_path, one, measure)
    row = verdict(one, store)
    assert row.verdict == "inconclusive"
    assert all("cells are void" in part.text for part in row.clauses)
    assert "calm machine" in page(tmp_path, one)


@pytest.fixture
def two_devices(tmp_path):
    """A claim that its GPU refutes and its CPU supports."""
    one = claim(
        parts=1,
        protocols={
            "quick": Protocol(("data=digits",), looks=Looks((5,))),
            "gpu": Protocol(("data=digits", "data.batch_size=32"), looks=Looks((5,))),
        },
    )
    fill(tmp_path, one, better(0.03), profile="quick")
    with Store(tmp_path) as store:
        for job in Design(one, one.protocols["gpu"]).progress(store.done()).jobs:
            given = {"metrics": better(-0.03)(job, 0.0), "device": "Made-up GPU"}
            store.append(one.slug, record(one, job, given))
    return one, tmp_path


def test_the_stronger_device_decides_and_the_other_is_shown(two_devices):
    one, folder = two_devices
    row = verdict(one, Store(folder))
    assert (row.verdict, row.profile, row.device) == ("refuted", "gpu", "Made-up GPU")
    assert row.others == (OtherVerdict("quick", DEVICE, "supported", 5),)
    html = page(folder, one)
    assert (
        "By itself, other evidence says" in html
        and "quick profile on x86_64, 1 thread, n = 5" in html
    )
    assert page(folder, one) == html


def test_one_device_has_no_others(tmp_path):
    one = claim(parts=1)
    store = fill(tmp_path, one, better(0.03))
    assert verdict(one, store).others == () and "By itself" not in page(tmp_path, one)
    assert verdict(one, Store(tmp_path / "nothing")).others == ()


def test_a_third_device_of_the_same_profile_is_shown_by_itself(tmp_path):
    one = claim(parts=1, protocols={"quick": Protocol(("data=digits",), looks=Looks((5,)))})

    def measure(job, noise):
        elsewhere = {"device": "another machine"} if job.seed > 2 else {}
        return {"metrics": better(0.03)(job, noise), **elsewhere}

    row = verdict(one, fill(tmp_path, one, measure))
    assert row.device == DEVICE and row.n == 3
    assert row.others == (OtherVerdict("quick", "another machine", "inconclusive", 2),)
