"""What `make demo` showed: python scripts/demo.py GROUPNORM_RUN BATCHNORM_RUN

Reads record.json of both runs. The second is BatchNorm with one sample per statistic, evaluated
with the statistics of each image as well (`evaluations=[statistics]`).
"""

import sys
from pathlib import Path

from rich.bar import Bar
from rich.console import Console
from rich.table import Table

from normlab.errors import NormLabError, refuse
from normlab.records.record import Record

NEXT = """Where to go next, after `. .venv/bin/activate`:
  normlab show bn-batch1-fails                 the claim behind this, and its rules
  normlab run bn-batch1-fails --profile smoke  how a claim is run
  normlab advise                               which norm for your network?
  README.md, VERDICTS.md, docs/                what every claim came to"""


def accuracies(group_norm: Record, batch_norm: Record) -> dict[str, float]:
    """Label of a bar -> test accuracy in per cent.

    Raises:
        NormLabError: a run measured no accuracy, or not with the statistics of each image.
    """
    measured = {
        "GroupNorm": (group_norm, "test_accuracy"),
        "BatchNorm, each image's statistics": (batch_norm, "instance_test_accuracy"),
        "BatchNorm, running averages": (batch_norm, "test_accuracy"),
    }
    shares: dict[str, float] = {}
    for label, (record, metric) in measured.items():
        value = record.metrics.get(metric)
        if value is None:
            raise NormLabError(f"the run for {label!r} has no {metric}: run `make demo` again.")
        shares[label] = 100 * value
    return shares


def sentences(shares: dict[str, float]) -> str:
    """What the two runs showed, in numbers."""
    group_norm, own, running = (f"{share:.0f} %" for share in shares.values())
    return (
        f"BatchNorm with one sample per statistic learned to be right on {own} of the test images, "
        f"with each image's own statistics. At evaluation it has running averages instead, and is "
        f"right on {running}. GroupNorm needs no averages: {group_norm}."
    )


def chart(shares: dict[str, float]) -> Table:
    """A bar for each accuracy, from 0 to 100 %."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(width=32)
    table.add_column(justify="right", no_wrap=True)
    for label, share in shares.items():
        table.add_row(label, Bar(100, 0, share), f"{share:.1f} %")
    return table


def main(folders: list[str]) -> None:
    if len(folders) != 2:
        raise NormLabError("name two folders: GroupNorm's run, then BatchNorm's.")
    records = []
    for folder in folders:
        record = Record.read(Path(folder) / "record.json")
        if record is None:
            raise NormLabError(f"{folder} holds no record.json: run `make demo`.")
        records.append(record)
    shares = accuracies(*records)
    console = Console(highlight=False)
    console.print()
    console.print(chart(shares))
    console.print(f"\n{sentences(shares)}\n")
    console.print(NEXT)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except NormLabError as error:
        refuse(error)
