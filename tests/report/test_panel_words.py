"""On a claim's page each panel says what is seen, and a logarithm is drawn as what it is of."""

import math
from dataclasses import replace

from made_up import claim, fill

from normlab.claims.claim import Arm, Part, Protocol
from normlab.claims.figure import Sweep
from normlab.claims.looks import Looks
from normlab.claims.metrics import logarithm, percent
from normlab.claims.quantity import difference, value
from normlab.claims.rules import AtLeast
from normlab.claims.trials import collect
from normlab.claims.verdicts import verdicts
from normlab.report.build import built
from normlab.report.panels import panels
from normlab.report.strips import arm_strips
from normlab.report.trial_table import trial_table

METRICS = {
    "log_size": logarithm("size of the stream, times"),
    "kept": percent("images that keep their class"),
    "flips": "predictions that change, count",
}


def own_claim(**more):
    """A claim whose own trial records `METRICS`."""
    parts = (
        Part("a", "a", difference("new", "old", "log_size", unit="times"), AtLeast(0.0)),
        Part("b", "b", value("new", "kept", words="kept"), AtLeast(0.0)),
        Part("c", "c", value("new", "flips", words="flips"), AtLeast(0.0)),
    )
    return claim(
        rules=parts,
        parts=3,
        arms=(Arm("new", options={"k": 2}, at={"k": 2}), Arm("old", options={"k": 1}, at={"k": 1})),
        protocols={"quick": Protocol(looks=Looks((5,)))},
        trial=lambda options, seed: {},
        metrics=METRICS,
        **more,
    )


def measure(job, noise):
    size = 4.0 if job.arm == "new" else 2.0
    return {"log_size": math.log(size) + 0.01 * noise, "kept": 0.25, "flips": 7.0}


def trials_of(one, folder):
    store = fill(folder, one, measure)
    (row,) = verdicts([one], store)
    return collect(one, row, store)


def test_panels_and_table_are_headed_by_words_and_show_what_a_logarithm_is_of(tmp_path):
    one = own_claim()
    trials = trials_of(one, tmp_path)
    shown = {panel.name: panel for panel in panels(one, trials)}
    labels = [panel.label for panel in shown.values()]
    assert labels == [
        "size of the stream, times",
        "images that keep their class, %",
        "predictions that change, count",
    ]
    assert {point.value for point in shown["kept"].arms["new"]} == {25.0}
    strips = arm_strips(shown["log_size"])
    assert "<h4>size of the stream, times (log scale)</h4>" in strips and "log_size" not in strips
    logs = [math.log(point.value) for point in shown["log_size"].arms["new"]]
    assert f"mean {math.exp(sum(logs) / len(logs)):.2f}" in strips  # the geometric one
    table = trial_table(one, trials, list(shown.values()))
    assert table.columns == labels
    # Without words for it a metric goes by its name.
    bare = panels(replace(one, metrics={}), trials)
    assert [panel.label for panel in bare] == ["log size", "kept", "flips"]


def test_words_are_on_the_page_and_on_the_axis_of_a_figure(tmp_path):
    one = own_claim(figure=Sweep("k", "k", metric="kept"))
    fill(tmp_path, one, measure)
    text = built(tmp_path, claims=[one])[tmp_path / "report" / "claims" / f"{one.slug}.html"]
    assert '<p class="axis-name">images that keep their class, %</p>' in text
    assert "<h4>predictions that change, count</h4>" in text and "<h4>flips" not in text
