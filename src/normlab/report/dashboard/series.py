"""Records and benchmark rows as the lines of four panels. Torch-free."""

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, prod
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from normlab.errors import NormLabError
from normlab.records.json_values import Json, JsonObject
from normlab.records.lines import BENCHMARKS
from normlab.records.places import read_together
from normlab.records.record import Record
from normlab.records.store import DONE, Store
from normlab.report.dashboard.settings import coordinates

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
_SEQUENCE_MODELS = ("transformer", "rnn")  # whose batch is no normalization batch of a norm's own


@dataclass(frozen=True)
class Series:
    """One line: `chart` of `panel` shows it as `name`.

    points: (x, y) by rising x, y the mean over seeds.
    """

    panel: str
    chart: str
    name: str
    points: tuple[tuple[int, float], ...]


class Trace(NamedTuple):
    """What one record adds: points of the line `name`, in its claim's chart of the settings that
    neither the line nor `known` fixes."""

    name: str
    points: Sequence[tuple[int, float | None]]
    known: tuple[Hashable, ...] = ()


def read_records(folder: Path) -> list[Record]:
    """The finished records in a results folder, or in the run directories anywhere below `folder`.

    The newest of each trial: a run of logger=wandb holds a copy, and a trial that was run twice
    counts once.

    Raises:
        NormLabError: there is none.
    """
    # A results folder has .jsonl, a run of train.py a record.json: `folder` may hold both.
    records = list(Store(folder).done().values())
    for path in sorted(folder.rglob("record.json")):
        record = Record.read(path)
        if record is not None and record.status in DONE:
            records.append(record)
    # The last of a key stays.
    records.sort(key=lambda record: record.started)
    newest = {record.key: record for record in records}
    if not newest:
        raise NormLabError(
            f"--records {folder}: no finished record; "
            "name a results folder, or one of train.py's runs."
        )
    return list(newest.values())


def read_bench(folder: Path) -> list[JsonObject]:
    """The rows of bench.jsonl in a results folder; none where there is no such file."""
    files = [place / BENCHMARKS for place in read_together(folder)]
    texts = [file.read_text() for file in files if file.is_file()]
    return [json.loads(line) for line in "".join(texts).splitlines()]


def all_series(records: Iterable[Record], rows: Iterable[Mapping[str, Json]]) -> list[Series]:
    """Every line of every panel, by panel, chart and name.

    Lines are norms or placements, and charts hold what else differs: TensorBoard shows no run of
    its own accord where there are more than 40, and every name is one.
    """
    records = list(records)
    # A sweep of train.py has no stage, and its runs are both.
    evaluated, tuned = [], [record for record in records if record.stage in ("tune", None)]
    for of_seed in _by_seed(record for record in records if record.stage in ("evaluate", None)):
        evaluated.append(max(of_seed, key=_score))
        # Of a seed that chose its rate itself.
        tuned += of_seed if len(of_seed) > 1 else []
    return [
        *_lines(BATCH, evaluated, _norm_batch_trace, together=1),
        *_lines(RATES, tuned, _rate_trace, together=2),
        *_lines(CURVES, evaluated, _curve_trace, together=2),
        *_cost(rows),
    ]


def _by_seed(records: Iterable[Record]) -> list[list[Record]]:
    """The trials of one arm and seed of a claim together; a run of train.py stands for itself."""
    groups: dict[object, list[Record]] = defaultdict(list)
    for record in records:
        optim = {name: value for name, value in record.section("optim").items() if name != "lr"}
        options = {**record.config, "optim": optim}
        name = json.dumps([record.claim, record.arm, record.seed, options], sort_keys=True)
        groups[name if record.claim else record.key].append(record)
    return list(groups.values())


def _score(record: Record) -> float:
    loss = record.metrics.get("val_loss")
    return -inf if loss is None or record.status != "ok" else -loss


Charts = dict[str, dict[str, dict[int, list[float]]]]  # chart -> name -> x -> values
Tracer = Callable[[Record, bool], Trace | None]  # by_placement: its claim compares placements


def _lines(panel: str, records: Iterable[Record], trace: Tracer, together: int) -> list[Series]:
    """Means over the records of one claim, chart, name and x.

    Lines of one point, and charts of fewer lines than `together`, show nothing and are left out.
    """
    lines = []
    for chart, names in sorted(_gather(records, trace).items()):
        # A single point is no line, and a single line compares nothing.
        drawn = {name: by_x for name, by_x in sorted(names.items()) if len(by_x) > 1}
        for name, by_x in drawn.items() if len(drawn) >= together else ():
            means = tuple((x, fmean(by_x[x])) for x in sorted(by_x))
            lines.append(Series(panel, chart, name, means))
    return lines


def _gather(records: Iterable[Record], trace: Tracer) -> Charts:
    of_claims: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        of_claims[record.claim or "runs"].append(record)
    charts: Charts = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for claim, of_claim in of_claims.items():
        by_placement = _compares_placements(of_claim)
        traced = [(record, trace(record, by_placement)) for record in of_claim]
        added = [(record, one) for record, one in traced if one is not None]
        known = [(one.name, *one.known) for _, one in added]
        settings = coordinates([record for record, _ in added], known)
        for (_, one), words in zip(added, settings, strict=True):
            line = charts[", ".join(filter(None, (claim, words)))][one.name]
            for x, y in one.points:
                if y is not None:
                    line[x].append(y)
    return charts


def _compares_placements(records: Iterable[Record]) -> bool:
    """Whether their networks have one kind of norm, and it in several places."""
    placed = [record for record in records if record.section("model").get("placement")]
    placements = {str(record.section("model")["placement"]) for record in placed}
    return len(placements) > 1 and len({_kind(record) for record in placed}) == 1


def _norm_batch_trace(record: Record, by_placement: bool) -> Trace | None:
    """Test accuracy at the samples that share statistics."""
    size = record.section("norm").get("ghost_batch") or record.section("data").get("batch_size")
    if not isinstance(size, int) or record.section("model").get("name") in _SEQUENCE_MODELS:
        return None
    # Arms differ in their sizes, which are the horizontal axis, and in what follows from these.
    return Trace(_kind(record), [(size, record.metrics.get("test_accuracy"))], (size,))


def _rate_trace(record: Record, by_placement: bool) -> Trace | None:
    """Validation loss at a learning rate."""
    # In millionths and rounded: TensorBoard's steps are whole numbers.
    rate = record.section("optim").get("lr")
    if not isinstance(rate, int | float) or not rate:
        return None
    name = str(record.section("model").get("placement")) if by_placement else _kind(record)
    return Trace(name, [(round(rate * MILLION), record.metrics.get("val_loss"))])


def _curve_trace(record: Record, by_placement: bool) -> Trace | None:
    """Training loss over the steps, of a network with a placement."""
    model = record.section("model")
    if "placement" not in model:
        return None
    steps, losses = record.curve.get("step", []), record.curve.get("train_loss", [])
    points = [(int(x), y) for x, y in zip(steps, losses, strict=True) if x is not None]
    return Trace(str(model["placement"]), points)


def _kind(record: Record) -> str:
    return str(record.section("norm")["kind"])


def _cost(rows: Iterable[Mapping[str, Json]]) -> list[Series]:
    """The last row of each cell counts; a row whose control was off does not."""
    cells: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for row in rows:
        ratio = row.get("ratio")
        # Only against a copy do rows of all norms have one unit.
        if row.get("baseline") != "copy" or row.get("void") or not row.get("kind"):
            continue
        if isinstance(ratio, int | float):
            sizes = [int(size) for size in str(row["shape"]).split("x")]
            cells[_cost_chart(row, sizes), str(row["kind"])][sizes[-1]] = ratio
    return [
        Series(COST, chart, name, tuple(sorted(points.items())))
        for (chart, name), points in sorted(cells.items())
    ]


def _cost_chart(row: Mapping[str, Json], sizes: Sequence[int]) -> str:
    """What is the same for all lines of a chart: the input's form, and how it was timed."""
    # By number of dimensions; the last size is the horizontal axis, so that it is not in the name.
    shapes = {2: "vectors", 3: f"{prod(sizes[:-1])} positions", 4: "maps"}
    names = ("memory_format", "dtype", "mode", "device", "subject")
    words = [shapes[len(sizes)], *(row.get(name) for name in names)]
    return ", ".join(str(word) for word in words if word)
