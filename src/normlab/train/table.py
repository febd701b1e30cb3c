"""What a sweep ends with: one line for each of its jobs."""

import json
from pathlib import Path
from typing import Any

from normlab.records.store import DONE

_METRICS = ("test_accuracy", "test_loss", "val_loss")


def print_table(folder: Path) -> int:
    """Print the outcome that each job of a sweep has left in `folder`; returns how many failed."""
    outcomes = [json.loads(file.read_text()) for file in sorted(folder.iterdir())]
    if not outcomes:
        return 0
    from rich.table import Table

    from normlab.records.console import plain_console

    overrides = [_by_key(outcome["overrides"]) for outcome in outcomes]
    varied = _varied(overrides)
    headings = (*varied, "status", "test accuracy", "test loss", "val loss", "seconds")
    table = Table(*headings, box=None, pad_edge=False)
    for outcome, values in zip(outcomes, overrides, strict=True):
        table.add_row(*(values.get(key, "") for key in varied), *_cells(outcome))
    plain_console(200).print(table)
    return sum(outcome["summary"]["status"] not in DONE for outcome in outcomes)


def _by_key(overrides: list[str]) -> dict[str, str]:
    return dict(override.split("=", 1) for override in overrides)


def _varied(overrides: list[dict[str, str]]) -> list[str]:
    """The keys whose value differs between jobs; all of them where none does."""
    keys: dict[str, None] = {}  # in order of appearance
    for values in overrides:
        keys |= dict.fromkeys(values)
    varied = []
    for key in keys:
        if len({values.get(key) for values in overrides}) > 1:
            varied.append(key)
    return varied or list(keys)


def _cells(outcome: dict[str, Any]) -> list[str]:
    """Status, metrics and seconds of one job."""
    record = outcome["summary"]
    status = record["status"] + (" (done before)" if outcome["skipped"] else "")
    if record["status"] == "failed":
        status += f": {record['message']}"
    values = [record["metrics"].get(name) for name in _METRICS]
    numbers = ["-" if value is None else f"{value:.4f}" for value in values]
    return [status, *numbers, f"{record['duration_s']:.1f}"]
