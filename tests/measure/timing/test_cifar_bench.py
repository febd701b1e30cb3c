"""`normlab bench cifar`: budgets grow until one ends above both lines, and each row says what it
reached."""

import pytest

from normlab.measure.timing import cifar


def test_budgets_grow_until_the_last_line_is_reached(monkeypatch):
    asked = []

    def train(kind, overrides):
        asked.append((kind, overrides[-1]))
        return {"test_accuracy": {"batchnorm": 0.86, "groupnorm": 0.1}[kind]}

    monkeypatch.setattr(cifar, "train", train)
    rows = cifar.run()
    assert [kind for kind, _ in asked].count("batchnorm") == 1
    assert [last for kind, last in asked if kind == "groupnorm"] == [
        f"trainer.max_epochs={epochs}" for epochs in cifar.EPOCHS
    ]
    assert len(rows) == 1 + len(cifar.EPOCHS)


def test_a_row_says_what_was_reached_and_in_how_many_minutes(monkeypatch):
    monkeypatch.setattr(cifar, "GOALS", (0.2, 1.1))
    for row in cifar.run(quick=True):
        assert row["test_accuracy"] > 0.2 and row["reaches"] == "20%"
        assert row["data"] == "digits" and row["steps"] > 1
        assert row["core_minutes"] * 60e3 / row["steps"] == pytest.approx(row["step_ms"])
