"""Loggers hold the curve, the configuration and the final metrics; wandb never asks."""

import csv
import importlib
import re
import time

import pytest

from normlab.config.compose import compose
from normlab.records.record import Record
from normlab.training.fit import fit
from normlab.training.loggers import build_loggers, close_loggers, wandb_mode

QUICK = [
    "trainer.max_steps=20",
    "trainer.chunk_steps=5",
    "data.batch_size=16",
    "trainer.progress=false",
    "norm=groupnorm",
]


def test_csv_and_tensorboard_side_by_side(tmp_path):
    record = fit(compose([*QUICK, "logger=[csv,tensorboard]"]), tmp_path)
    rows = list(csv.DictReader((tmp_path / "csv" / "metrics.csv").open()))
    losses = [float(row["train/loss"]) for row in rows if row["train/loss"]]
    assert losses == pytest.approx(record.curve["train_loss"])
    assert float(rows[-1]["final/test_accuracy"]) == pytest.approx(record.metrics["test_accuracy"])

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [5, 10, 15, 20]
    assert events.Scalars("final/test_accuracy")[0].value == pytest.approx(
        record.metrics["test_accuracy"]
    )


def test_a_run_whose_evaluation_fails_is_closed_as_failed(tmp_path, monkeypatch):
    from normlab.training import fit as module

    def broken(*arguments):
        raise ZeroDivisionError

    closed = []
    monkeypatch.setattr(module, "evaluate", broken)
    monkeypatch.setattr(module, "close_loggers", lambda _, record: closed.append(record.status))
    with pytest.raises(ZeroDivisionError):
        fit(compose(QUICK), tmp_path)
    assert closed == ["failed"]


def test_probes_reach_the_logger(tmp_path):
    fit(compose([*QUICK, "probes=[gradient_norm]"]), tmp_path)
    header = (tmp_path / "csv" / "metrics.csv").read_text().splitlines()[0]
    assert "gradient_norm/norm/features.0" in header


def test_tensorboard_has_histograms_of_probes_and_charts(tmp_path):
    fit(compose([*QUICK, "probes=[activations]", "logger=tensorboard"]), tmp_path)

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.custom_scalar.layout_pb2 import Layout

    events = EventAccumulator(str(tmp_path / "tensorboard"), {"histograms": 0}).Reload()
    drawn = events.Histograms("activations/histogram/head")
    assert [event.step for event in drawn] == [5, 10, 15, 20]
    assert drawn[0].histogram_value.num == 16 * 10  # images times classes
    layout = Layout.FromString(
        events.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0]
    )
    charts = {
        chart.title: list(chart.multiline.tag)
        for category in layout.category
        for chart in category.chart
    }
    assert charts["loss"] == ["train/loss", "val/loss"]
    tags = events.Tags()["scalars"]
    (chart,) = charts["variance of activations by layer"]
    assert (
        sum(re.match(chart, tag) is not None for tag in tags) == 6
    )  # five convolutions and the head


def test_none_leaves_no_logger_files(tmp_path):
    fit(compose([*QUICK, "logger=none"]), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_wandb_offline_makes_one_closed_run_each(tmp_path, monkeypatch, capfd):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("NORMLAB_SWEEP", "sweep-1")
    import wandb

    for seed in (0, 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        record = fit(compose([*QUICK, f"seed={seed}", "logger=wandb"]), folder)
        assert wandb.run is None  # closed: the next run of this process is its own
        assert "wandb: offline (no key)" in capfd.readouterr().err
        (file,) = (folder / "wandb").glob("offline-run-*/*.wandb")
        limit = (
            time.monotonic() + 120
        )  # wandb's own process writes the file, on a busy machine a moment later
        while b"train/loss" not in (content := file.read_bytes()) and time.monotonic() < limit:
            time.sleep(0.1)
        assert b"sweep-1" in content and b"train/loss" in content
        assert record.status == "ok"


def test_wandb_disabled_writes_nothing_and_keeps_the_record(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    record = fit(compose([*QUICK, "logger=wandb"]), tmp_path)
    assert record.status == "ok" and record.metrics["test_accuracy"] > 0
    assert list(tmp_path.iterdir()) == []
    said = capfd.readouterr().err
    assert "wandb: disabled (WANDB_MODE)" in said and "warning" not in said


def break_after_training(monkeypatch, method, error=None):
    """CSVLogger's `method` raises from the evaluation on, which comes after the training and
    raises `error`."""
    from lightning.pytorch.loggers import CSVLogger

    module = importlib.import_module("normlab.training.fit")
    evaluate = module.evaluate

    def full(*_, **__):
        raise OSError("no space left\nat all")

    def evaluate_then(*arguments):
        monkeypatch.setattr(CSVLogger, method, full)
        if error:
            raise error
        return evaluate(*arguments)

    monkeypatch.setattr(module, "evaluate", evaluate_then)


@pytest.mark.parametrize("method", ["log_metrics", "finalize"])
def test_a_logger_that_fails_at_the_end_costs_a_warning_and_not_the_record(
    tmp_path, monkeypatch, capfd, method
):
    break_after_training(monkeypatch, method)
    record = fit(compose([*QUICK, "logger=[csv,tensorboard]"]), tmp_path)
    assert record.status == "ok" and record.metrics["test_accuracy"] > 0
    (warning,) = [line for line in capfd.readouterr().err.splitlines() if "warning" in line]
    assert warning.startswith("warning: CSVLogger was not closed (OSError: no space left): ")

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(
        str(tmp_path / "tensorboard")
    ).Reload()  # the other logger is complete
    assert events.Scalars("final/test_accuracy")[0].value == pytest.approx(
        record.metrics["test_accuracy"]
    )


def test_a_logger_that_fails_does_not_hide_what_ended_the_training(tmp_path, monkeypatch):
    break_after_training(monkeypatch, "finalize", RuntimeError("out of memory"))
    with pytest.raises(RuntimeError, match="out of memory"):
        fit(compose(QUICK), tmp_path)


def test_a_wandb_run_is_finished_though_its_artifact_fails(tmp_path, monkeypatch, capfd):
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr("wandb.Artifact.add_file", lambda *_, **__: (tmp_path / "gone").stat())
    assert fit(compose([*QUICK, "logger=wandb"]), tmp_path).status == "ok"
    assert wandb.run is None
    assert "warning: WandbLogger was not closed (FileNotFoundError: " in capfd.readouterr().err


@pytest.mark.parametrize(
    ("environment", "mode"),
    [
        ({"WANDB_MODE": "disabled"}, "disabled"),
        ({}, "offline"),
        (
            {"WANDB_API_KEY": "k", "WANDB_BASE_URL": "http://127.0.0.1:9"},
            "offline",
        ),  # nothing listens there
    ],
)
def test_wandb_mode(environment, mode, monkeypatch, tmp_path):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wandb_mode()[0] == mode


@pytest.mark.parametrize(
    ("url", "port"), [("http://host", 80), ("https://host", 443), ("http://host:8080", 8080)]
)
def test_a_wandb_server_is_asked_at_the_port_of_its_scheme(url, port, monkeypatch):
    asked = []

    def connect(address, timeout):
        asked.append(address)
        raise OSError

    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_API_KEY", "k")
    monkeypatch.setenv("WANDB_BASE_URL", url)
    monkeypatch.setattr("socket.create_connection", connect)
    assert wandb_mode() == ("offline", "host does not answer") and asked == [("host", port)]
    monkeypatch.setenv("WANDB_BASE_URL", "http://host:port")
    assert wandb_mode() == ("offline", "host does not answer")


def test_a_wandb_error_without_a_text_has_its_name(monkeypatch, tmp_path, capfd):
    import wandb

    real = wandb.init

    def init(*, mode, **options):
        if mode == "online":
            raise TimeoutError
        return real(mode=mode, **options)

    monkeypatch.setattr("normlab.training.loggers.wandb_mode", lambda: ("online", "host"))
    monkeypatch.setattr(wandb, "init", init)
    cfg = compose([*QUICK, "logger=wandb"])
    close_loggers(build_loggers(cfg, tmp_path, "name", {}), Record(key="0", config={}))
    assert "wandb: offline (online failed: TimeoutError)" in capfd.readouterr().err


def test_wandb_is_online_with_a_key_and_a_server(monkeypatch, tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login user password secret\n")
        monkeypatch.delenv("WANDB_MODE", raising=False)
        monkeypatch.delenv("WANDB_API_KEY", raising=False)
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert wandb_mode() == ("online", "127.0.0.1")
