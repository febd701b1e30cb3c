"""Records and benchmark rows as the lines of four panels. Torch-free."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from statistics import fmean
from typing import Any

from normlab.errors import NormLabError
from normlab.records.places import read_together
from normlab.records.record import Record
from normlab.records.store import DONE, Store

BATCH = "accuracy against normalization batch"
RATES = "validation loss against learning rate"
CURVES = "training loss by placement and depth"
COST = "kernel cost in copies of the input"
PANELS = {  # what lies on the horizontal axis, whole numbers all
    BATCH: "samples that share statistics",
    RATES: "millionths",
    CURVES: "steps",
    COST: "channels, or pixels a side",
}
MILLION = 10**6


@dataclass(frozen=True)
class Series:
    """One line: `chart` of `panel` shows it as `name`; points (x, y) by rising x, y the mean
    over seeds."""

    panel: str
    chart: str
    name: str
    points: tuple[tuple[int, float], ...]


def read_records(folder: Path) -> list[Record]:
    """The finished records in a results folder, or in the run directories anywhere below `folder`:
    the newest of each trial, since a run of logger=wandb holds a copy, and a trial that was run
    twice counts once.

    Raises:
        NormLabError: there is none.
    """
    found = list(Store(folder).done().values())
    found += [
        record for path in sorted(folder.rglob("record.json")) if (record := Record.read(path))
    ]
    finished = {
        r.key: r for r in sorted(found, key=lambda record: record.started) if r.status in DONE
    }
    if not finished:
        raise NormLabError(
            f"--records {folder}: no finished record; name a results folder, or one of train.py's "
            "runs."
        )
    return list(finished.values())


def read_bench(folder: Path) -> list[dict[str, Any]]:
    """The rows of bench.jsonl in a results folder; none where there is no such file."""
    files = [place / "bench.jsonl" for place in read_together(folder)]
    texts = [file.read_text() for file in files if file.is_file()]
    return [json.loads(line) for line in "".join(texts).splitlines()]


def all_series(records: Iterable[Record], rows: Iterable[Mapping[str, Any]]) -> list[Series]:
    """Every line of every panel, by panel, chart and name.

    Lines are norms or placements, and charts hold what else differs: TensorBoard shows no run of
    its own accord where there are more than 40, and every name is one.
    """
    records = list(records)
    evaluated = [record for record in records if record.stage in ("evaluate", None)]
    tuned = [
        record for record in records if record.stage in ("tune", None)
    ]  # None: a sweep of train.py
    return [
        *_lines(BATCH, evaluated, _norm_batch_points, together=1),
        *_lines(RATES, tuned, _rate_points, together=2),
        *_lines(CURVES, evaluated, _curve_points, together=2),
        *_cost(rows),
    ]


# What a record adds: the chart within its claim, the line's name, and points of it.
Points = tuple[str, str, list[tuple[int, float | None]]]


def _lines(
    panel: str, records: Iterable[Record], points: Callable[[Record], Points | None], together: int
) -> list[Series]:
    """Means over the records of one claim, chart, name and x; lines of one point, and charts of
    fewer lines than `together`, show nothing and are left out."""
    charts: dict[str, dict[str, dict[int, list[float]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for record in records:
        within, name, found = points(record) or ("", "", [])
        chart = ", ".join(filter(None, (record.claim or "runs", within)))
        for x, y in found:
            if y is not None:
                charts[chart][name][x].append(y)
    lines = []
    for chart, names in sorted(charts.items()):
        drawn = {name: by_x for name, by_x in sorted(names.items()) if len(by_x) > 1}
        if len(drawn) >= together:
            lines += [
                Series(panel, chart, name, tuple((x, fmean(ys)) for x, ys in sorted(by_x.items())))
                for name, by_x in drawn.items()
            ]
    return lines


def _norm_batch_points(record: Record) -> Points | None:
    norm, data = record.config.get("norm", {}), record.config.get("data", {})
    size = norm.get("ghost_batch") or data.get("batch_size")
    if not size or record.config.get("model", {}).get("name") in ("transformer", "rnn"):
        return None
    rest = re.sub(
        r"\s*\b[\d.]+\b", "", _rest_of_arm(record)
    ).strip()  # its sizes are the horizontal axis
    return rest, norm["kind"], [(size, record.metrics.get("test_accuracy"))]


def _rate_points(record: Record) -> Points | None:
    rate = record.config.get("optim", {}).get("lr")
    if not rate:
        return None
    placement = record.config.get("model", {}).get("placement", "")
    kind = record.config["norm"]["kind"]
    by_placement = bool(placement) and placement in (record.arm or "")
    name = placement if by_placement else kind
    return (
        _rest_of_arm(record, name),
        name,
        [(round(rate * MILLION), record.metrics.get("val_loss"))],
    )


def _rest_of_arm(record: Record, name: str | None = None) -> str:
    """An arm without the name of its line."""
    rest = (record.arm or "").replace(name or record.config["norm"]["kind"], "", 1)
    return rest.strip(" ,")


def _curve_points(record: Record) -> Points | None:
    model = record.config.get("model", {})
    if "placement" not in model:
        return None
    warmup = "warm-up" if record.config["optim"].get("warmup") else "no warm-up"
    points = list(
        zip(record.curve.get("step", []), record.curve.get("train_loss", []), strict=True)
    )
    return f"{model['depth']} layers, {warmup}", model["placement"], points


def _cost(rows: Iterable[Mapping[str, Any]]) -> list[Series]:
    """The last row of each cell counts; a row whose control was off does not."""
    cells: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for row in rows:
        if row.get("baseline") != "copy" or row.get("void") or not row.get("kind"):
            continue
        sizes = [int(size) for size in str(row["shape"]).split("x")]
        form = row.get("memory_format") or ""
        shown = {2: "vectors", 3: f"{prod(sizes[:-1])} positions", 4: "maps"}[len(sizes)]
        what = (shown, form, row["dtype"], row["mode"], row["device"])
        chart = ", ".join(filter(None, (*what, row.get("subject", ""))))
        cells[chart, row["kind"]][sizes[-1]] = row["ratio"]
    return [
        Series(COST, chart, name, tuple(sorted(points.items())))
        for (chart, name), points in sorted(cells.items())
    ]
