"""The panels: which lines they hold, that TensorBoard reads them back, and that wandb takes the
workspace."""

import hashlib
import json
import os

import pytest
from wandb_server import sync, wandb_server

from normlab.errors import NormLabError
from normlab.records.record import Record
from normlab.report.comparison.wandb_run import FIGURE
from normlab.report.dashboard.series import (
    BATCH,
    COST,
    CURVES,
    RATES,
    Series,
    all_series,
    read_bench,
    read_records,
)
from normlab.report.dashboard.tensorboard import tag, write_events
from normlab.report.dashboard.workspace import COMPARISON, build_workspace, specification


def image(seed, arm, kind, size, accuracy, **more):
    config = {
        "norm": {"kind": kind, "ghost_batch": size},
        "model": {"name": "plaincnn"},
        "data": {"batch_size": 64},
    }
    return Record(f"{arm}{seed}", config, "small", arm, seed, more.pop("stage", "evaluate"), "ok",
                  metrics={"test_accuracy": accuracy}, **more)  # fmt: skip


def tuned(arm, kind, rate, loss):
    record = image(1000, arm, kind, None, 0.5, stage="tune")
    record.config["optim"] = {"lr": rate}
    record.metrics["val_loss"] = loss
    return record


def own(kind, rate):
    """A run of a sweep of train.py: no claim, no arm, no stage."""
    record = tuned(None, kind, rate, 1.0)
    record.claim = record.stage = None
    record.metrics["test_accuracy"] = None
    return record


def text(placement, losses, warmup=0.0, seed=0):
    config = {
        "norm": {"kind": "layernorm"},
        "model": {"name": "transformer", "placement": placement, "depth": 6},
    }
    config |= {"optim": {"warmup": warmup, "lr": 0.1}, "data": {"batch_size": 8}}
    curve = {"step": [10 * (i + 1) for i in range(len(losses))], "train_loss": losses}
    return Record(placement, config, "deep", f"{placement} 6", seed, "evaluate", "ok", curve=curve)


def cost(kind, shape, ratio, **more):
    base = {
        "baseline": "copy",
        "dtype": "float32",
        "mode": "forward",
        "device": "cpu",
        "layout": "NTC",
        "void": False,
    }
    return {"benchmark": "norms", "kind": kind, "shape": shape, "ratio": ratio, **base, **more}


RECORDS = [
    *(
        image(seed, f"batchnorm {n}", "batchnorm", n, n / 100 + seed / 1000)
        for n in (2, 8)
        for seed in (0, 2)
    ),
    *(image(0, f"{kind}", kind, None, 0.5) for kind in ("groupnorm",)),
    *(
        tuned(kind, kind, rate, 1 / rate)
        for kind in ("batchnorm", "groupnorm")
        for rate in (0.1, 0.5)
    ),
    tuned("alone 3", "rmsnorm", 0.1, 1.0),
    *(own(kind, rate) for kind in ("batchnorm", "groupnorm") for rate in (0.1, 0.2)),
    text("pre", [3.0, 2.0]),
    text("post", [3.0, None]),
    text("post", [5.0, 4.0], seed=1),
]
ROWS = [
    cost("rmsnorm", "4x16x256", 3.0),
    cost("rmsnorm", "4x16x512", 9.0, void=True),
    cost("rmsnorm", "4x16x256", 2.0),
    cost("rmsnorm", "64x32x16x16", 4.0, memory_format="channels_last", subject="ours"),
    cost("rmsnorm", "4x16x256", 7.0, baseline="layernorm, ours"),
]


def test_lines_are_means_over_seeds_by_norm_and_placement():
    assert all_series(RECORDS, ROWS) == [
        Series(BATCH, "small", "batchnorm", ((2, pytest.approx(0.021)), (8, pytest.approx(0.081)))),
        *(
            Series(RATES, "runs", kind, ((100_000, 1.0), (200_000, 1.0)))
            for kind in ("batchnorm", "groupnorm")
        ),
        Series(RATES, "small", "batchnorm", ((100_000, 10.0), (500_000, 2.0))),
        Series(RATES, "small", "groupnorm", ((100_000, 10.0), (500_000, 2.0))),
        Series(CURVES, "deep", "post", ((10, 4.0), (20, 4.0))),
        Series(CURVES, "deep", "pre", ((10, 3.0), (20, 2.0))),
        Series(COST, "64 positions, float32, forward, cpu", "rmsnorm", ((256, 2.0),)),
        Series(COST, "maps, channels_last, float32, forward, cpu, ours", "rmsnorm", ((16, 4.0),)),
    ]


def test_charts_are_named_by_the_settings_in_which_a_claims_trials_differ():
    """And by no arm's name, which may hold any words and numbers."""
    deep = [text(place, [3.0, 2.0], warmup) for place in ("pre", "post") for warmup in (0.0, 0.25)]
    for record in deep:
        record.arm = "pre or post, 3 0.25"
    assert [(line.chart, line.name) for line in all_series(deep, [])] == [
        (f"deep, warmup {warmup}", place) for warmup in ("0", "0.25") for place in ("post", "pre")
    ]
    tunings = []
    for kind in ("batchnorm", "groupnorm"):
        for batch in (32, 64):
            for rate in (0.1, 0.2):
                record = tuned("of batchnorm 5", kind, rate, 1.0)
                record.config["data"] = {"batch_size": batch}
                record.config["trainer"] = {"max_steps": 100 * batch}  # follows from the batch
                tunings.append(record)
    charts = {line.chart for line in all_series(tunings, [])}
    assert charts == {"small, batch_size 32", "small, batch_size 64"}


@pytest.mark.parametrize(
    "kinds, placements, names",
    [
        (("layernorm", "layernorm"), ("pre", "post"), {"pre", "post"}),
        (("layernorm", "rmsnorm"), ("pre", "pre"), {"layernorm", "rmsnorm"}),
    ],
)
def test_lines_are_placements_where_one_norm_has_several(kinds, placements, names):
    records = []
    for kind, placement in zip(kinds, placements, strict=True):
        for rate in (0.1, 0.2):
            record = text(placement, [])
            record.stage, record.metrics["val_loss"] = "tune", 1.0
            record.config |= {"norm": {"kind": kind}, "optim": {"lr": rate}}
            records.append(record)
    assert {line.name for line in all_series(records, [])} == names


def test_this_projects_records_fill_panels_with_few_names():
    from normlab.records.store import RESULTS

    lines = all_series(read_records(RESULTS), read_bench(RESULTS))
    # The others once the claims that they are of have been run.
    assert {RATES, COST} <= {line.panel for line in lines} <= {BATCH, RATES, CURVES, COST}
    assert len({line.name for line in lines}) < 40  # more runs than that TensorBoard hides at first


def test_tensorboard_reads_the_lines_and_the_charts_back(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.custom_scalar.layout_pb2 import Layout

    lines = all_series(RECORDS, ROWS)
    write_events(lines, tmp_path / "board")
    write_events(lines, tmp_path / "board")  # replaces, and adds nothing
    for line in lines:
        events = EventAccumulator(str(tmp_path / "board" / line.name)).Reload().Scalars(tag(line))
        assert [(event.step, pytest.approx(event.value)) for event in events] == list(line.points)
    config = (
        EventAccumulator(str(tmp_path / "board" / "layout"))
        .Reload()
        .Tensors("custom_scalars__config__")
    )
    layout = Layout.FromString(config[0].tensor_proto.string_val[0])
    assert [category.title.partition(" (")[0] for category in layout.category] == [
        BATCH,
        RATES,
        CURVES,
        COST,
    ]
    assert [chart.title for chart in layout.category[3].chart] == [
        line.chart for line in lines[-2:]
    ]


def test_only_what_the_dashboard_wrote_is_replaced(tmp_path):
    """`--out` may be a run's folder, whose own event files lie in tensorboard/ as well."""
    others = [
        tmp_path / name
        for name in ("events.out.tfevents.1.host.2.0", "rmsnorm/events.out.tfevents.1.host.2.0")
    ]
    for other in others:
        other.parent.mkdir(exist_ok=True)
        other.write_text("a run's own")
    write_events(
        [Series(COST, "chart", name, ((1, 2.0),)) for name in ("rmsnorm", "batchnorm")], tmp_path
    )
    write_events([Series(COST, "chart", "rmsnorm", ((1, 2.0),))], tmp_path)
    assert [other.read_text() for other in others] == ["a run's own"] * 2
    written = {
        str(path.relative_to(tmp_path).parent)
        for path in tmp_path.rglob("events*")
        if path not in others
    }
    assert written == {"layout", "rmsnorm"}  # batchnorm's is gone with its line


def test_the_workspace_is_one_that_wandb_reads_back():
    from wandb_workspaces.workspaces import Workspace, internal

    chart = "maps, channels_last, float32, forward, cpu"
    workspace = build_workspace("me", "normlab", [chart])
    text = specification(workspace)
    view = internal.View.model_validate_json(text)
    again = Workspace._from_model(view)
    titles = {
        section.name: [getattr(panel, "title", None) for panel in section.panels]
        for section in again.sections
    }
    assert (
        list(titles)[:4] == [BATCH, RATES, CURVES, COST]
        and BATCH in titles[BATCH]
        and CURVES in titles[CURVES]
    )
    assert "panels.value.normalization_batch" in text and "panels.value.placement_depth" in text
    assert '"mediaKeys": [' in text and f'"{FIGURE}"' in text and COMPARISON in titles
    assert "optim.value.lr" in text and chart in text and "norm of the gradient by layer" in text


def test_no_record_is_one_sentence(tmp_path):
    with pytest.raises(NormLabError, match="no finished record"):
        read_records(tmp_path)


def test_each_trial_counts_once(tmp_path):
    """wandb's copy of a record, a second run of the trial, and one that failed."""
    old, new, failed = (
        image(0, "batchnorm 2", "batchnorm", 2, accuracy) for accuracy in (0.5, 0.7, 0.9)
    )
    old.started, new.started, failed.started = (
        "2026-01-01T10:00",
        "2026-01-02T10:00",
        "2026-01-03T10:00",
    )
    failed.status = "failed"
    places = {"a": new, "a/wandb/offline-run-1": new, "b": old, "b/wandb/run-2": old, "c": failed}
    for place, record in places.items():
        (tmp_path / place).mkdir(parents=True)
        record.write(tmp_path / place / "record.json")
    assert [record.metrics for record in read_records(tmp_path)] == [{"test_accuracy": 0.7}]


@pytest.fixture
def dashboard(normlab, tmp_path):
    """`normlab dashboard` over a few runs; the finished process, and where its files are."""
    for record in RECORDS[:4]:
        folder = tmp_path / "runs" / "one" / record.key
        folder.mkdir(parents=True)
        record.write(folder / "record.json")
    (tmp_path / "runs" / "bench.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))

    def run(*arguments, **environment):
        known = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")}
        places = {f"WANDB_{name}_DIR": str(tmp_path / "home") for name in ("CONFIG", "CACHE")}
        return normlab(
            *("dashboard", "--records", "runs", "--out", "out"),
            *arguments,
            cwd=tmp_path,
            env=known | places | environment,
        )

    return run, tmp_path


def test_command_writes_files_offline_and_says_how_to_push_them(dashboard):
    run, folder = dashboard
    done = run("--entity", "me", "--project", "my norms", WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    assert "tensorboard --logdir out/tensorboard" in done.stdout
    again = (
        "wandb login && normlab dashboard --records runs --out out --project 'my norms' --entity me"
    )
    assert again in done.stdout.splitlines()[-2]
    assert json.loads((folder / "out" / "workspace.json").read_text())["entity"] == "me"
    (offline,) = (folder / "out" / "wandb").glob("offline-run-*")
    assert f"wandb sync out/wandb/{offline.name}" in done.stdout.replace(str(folder) + "/", "")
    assert list((folder / "out").glob("artifacts/staging/*"))  # the table, beside its run


def test_the_kernels_run_arrives_with_a_table_per_chart(dashboard):
    run, folder = dashboard
    assert run("--entity", "me", WANDB_MODE="offline").returncode == 0
    (offline,) = (folder / "out" / "wandb").glob("offline-run-*")
    received = sync(offline, folder)
    first = received.calls["upsertBucket"][0]
    assert (first["entity"], first["project"], first["displayName"]) == (
        "me",
        "normlab",
        "kernel cost",
    )
    assert first["jobType"] == "bench"
    lines = {line.chart: line for line in all_series([], ROWS)}
    tables = {key: row[key] for row in received.history for key in row if key in lines}
    assert tables.keys() == lines.keys()
    for chart, table in tables.items():
        content = (offline / "files" / table["path"]).read_bytes()
        assert (
            table["_type"] == "table-file"
            and table["sha256"] == hashlib.sha256(content).hexdigest()
        )
        assert json.loads(content)["columns"] == ["norm", "size", "copies"]
        assert json.loads(content)["data"] == [
            [lines[chart].name, x, y] for x, y in lines[chart].points
        ]
    artifacts = [call["input"]["artifactTypeName"] for call in received.calls["createArtifact"]]
    assert artifacts == ["run_table"] * len(lines)


def test_with_a_key_workspace_and_kernels_are_pushed(dashboard):
    run, folder = dashboard
    with wandb_server() as (address, received):
        done = run(WANDB_BASE_URL=address, WANDB_API_KEY="0" * 40)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"wandb workspace: {address}/me/normlab" in done.stdout
    (view,) = received.calls["upsertView"]
    assert (view["entityName"], view["projectName"]) == ("me", "normlab")
    assert received.calls["upsertBucket"][0]["displayName"] == "kernel cost"
    assert (
        json.loads((folder / "out" / "workspace.json").read_text())["entity"] == "me"
    )  # whose key it is


@pytest.mark.parametrize("entity", [(), ("--entity", "me")])
def test_a_key_that_is_refused_is_one_sentence_after_the_files(dashboard, entity):
    run, folder = dashboard
    with wandb_server(status=401) as (address, _):
        done = run(*entity, WANDB_BASE_URL=address, WANDB_API_KEY="0" * 40)
    assert done.returncode == 2 and "Traceback" not in done.stdout + done.stderr
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "it is in out/workspace.json" in said and "401" in said
    assert said.endswith(
        " ".join(
            ("wandb login && normlab dashboard --records runs --out out --project normlab", *entity)
        )
    )
    assert json.loads((folder / "out" / "workspace.json").read_text())["project"] == "normlab"
