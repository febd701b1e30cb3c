"""Figures of two arms over the course of their trials, and of one metric against another."""

import math

from made_up import fill

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.figure import Against, Course
from normlab.claims.looks import Looks
from normlab.claims.quantity import difference
from normlab.claims.rules import AtLeast
from normlab.claims.trials import Trials
from normlab.report.figures import draw

COURSE = Course({"raw": "log_a", "corrected": "log_b"}, "new", "old", (0.0, 50.0), "share", "ratio")
AGAINST = Against("log_drift", "drift", "train_loss", "loss", log_x=True)


def drawn(tmp_path, shown, metrics):
    one = Claim(
        slug="made-up", statement="Made up.", documents=("A guide",), source="a", prediction="a",
        clauses=(Part("a", "a", difference("old", "new", "train_loss"), AtLeast(0.0)),),
        answers=Answers("a.", "b."),
        arms=(Arm("old", options={"k": 1}), Arm("new", options={"k": 2})),
        protocols={"quick": Protocol(looks=Looks((5,)))}, trial=lambda options, seed: {},
        figure=shown,
    )  # fmt: skip
    store = fill(tmp_path, one, lambda job, noise: {"metrics": metrics(job.arm, noise)})
    records = {arm.name: {} for arm in one.arms}
    for record in store.records.values():
        records[record.arm][record.seed] = record
    return draw(one, Trials(records, {arm: frozenset(by) for arm, by in records.items()}))


def test_course_has_a_line_of_ratios_for_each_metric_that_was_recorded(tmp_path):
    def metrics(arm, noise):
        old = arm == "old"
        return {
            "train_loss": 1.0,
            "log_a at 0": math.log(8.0) * old + 1e-9 * noise,
            "log_a at 50": math.log(2.0) * old + 1e-9 * noise,
        }

    svg = drawn(tmp_path, COURSE, metrics)
    assert "raw: 8.00 at 0, 2.00 at 50" in svg and "corrected" not in svg and ">equal<" in svg
    assert drawn(tmp_path / "none", COURSE, lambda arm, noise: {"train_loss": 1.0}) == ""


def test_against_has_a_cloud_for_each_arm_and_takes_logarithms_back(tmp_path):
    def metrics(arm, noise):
        old = arm == "old"
        return {"train_loss": 1.0 + old, "log_drift": math.log(0.5 if old else 0.25)}

    svg = drawn(tmp_path, AGAINST, metrics)
    assert "old: 0.500, 2.00; new: 0.250, 1.00" in svg
    assert svg.count("<title>") >= 10 and "old, seed 100: 0.500, 2.00" in svg
    nothing = drawn(tmp_path / "none", AGAINST, lambda arm, noise: {"train_loss": 1.0})
    assert nothing == ""
