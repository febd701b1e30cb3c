"""train.py as a user runs it: records, sweeps, and one sentence for bad input."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from normlab.records.record import Record
from normlab.train.table import print_table

QUICK = ["trainer.max_steps=20", "data.batch_size=16"]
FIELDS = {
    "key",
    "claim",
    "arm",
    "seed",
    "stage",
    "status",
    "metrics",
    "config",
    "versions",
    "device",
    "data",
    "code",
    "steps",
    "samples",
    "duration_s",
    "started",
}


def records(folder):
    return [json.loads(path.read_text()) for path in sorted(Path(folder).rglob("record.json"))]


def test_single_run_leaves_a_record_and_one_line(train_in_an_interpreter, tmp_path):
    done = train_in_an_interpreter("norm=groupnorm", *QUICK)
    assert done.returncode == 0, done.stderr
    (record,) = records(tmp_path / "runs")
    assert record.keys() >= FIELDS
    assert record["status"] == "ok" and record["config"]["norm"]["kind"] == "groupnorm"
    (line,) = done.stdout.strip().splitlines()
    assert re.fullmatch(
        r"groupnorm plaincnn digits seed 0: ok, test accuracy 0\.\d+, .* \[runs/.*record\.json\]",
        line,
    )
    (metrics,) = (tmp_path / "runs").rglob("csv/metrics.csv")
    assert "train/loss" in metrics.read_text()


def test_diverged_run_exits_with_zero(train, tmp_path):
    done = train("norm=none", "optim.lr=1e6", *QUICK)
    assert done.returncode == 0, done.stderr
    assert records(tmp_path / "runs")[0]["status"] == "diverged"
    assert "diverged (the loss is not finite" in done.stdout


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_sweep_shows_every_job_and_skips_what_is_done(train, tmp_path, launcher):
    sweep = [
        "-m",
        "norm=groupnorm",
        "norm.num_groups=4,5",
        "seed=0,1",
        f"hydra/launcher={launcher}",
        *QUICK,
    ]
    first = train(*sweep)
    assert first.returncode == 1, first.stderr  # five groups do not divide 16 channels
    assert "Traceback" not in first.stderr
    table = first.stdout[first.stdout.rindex("norm.num_groups  n") :]
    assert re.search(r"^4 +2 +0 +0 +\d", table, re.M) and re.search(r"^5 +0 +0 +2 +-", table, re.M)
    assert table.count("failed: ") == 2 and "4 jobs: 2 done, 2 failed." in table
    assert sorted(record["status"] for record in records(tmp_path / "runs")) == [
        "failed",
        "failed",
        "ok",
        "ok",
    ]
    kept = {
        path: path.read_text()
        for path in (tmp_path / "runs").rglob("record.json")
        if '"ok"' in path.read_text()
    }

    again = train(*sweep)
    assert "4 jobs: 2 done (2 of them before), 2 failed." in again.stdout
    assert all(path.read_text() == text for path, text in kept.items())


def test_a_sweep_is_one_however_it_is_spelled(train, tmp_path):
    done = train("hydra.mode=MULTIRUN", "norm=batchnorm,groupnorm", "model.width=0")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 jobs: 0 done, 2 failed." in done.stdout


def test_the_table_prints_messages_as_they_are(tmp_path, capsys):
    config = {"evaluations": ["precise"], "norm": {"kind": "batchnorm"}}
    for number, record in enumerate(
        (
            Record("a", config, message="no [groups] here"),
            Record("b", {**config, "evaluations": []}),
        )
    ):
        outcome = {"folder": "runs/sweep", "skipped": False, "summary": asdict(record)}
        (tmp_path / f"{number:06d}.json").write_text(json.dumps(outcome))
    assert print_table(tmp_path) == 2
    printed = capsys.readouterr().out
    assert "seed 0: no [groups] here" in printed and "[precise]" in printed


def test_sweep_killed_in_the_middle_goes_on_where_it_stopped(train, tmp_path):
    train("-m", "seed=0", *QUICK)
    (done,) = (tmp_path / "runs").rglob("record.json")
    kept = done.read_text()
    (done.parent.parent / "a-killed-job").mkdir()  # what a kill leaves: a folder without a record
    halves = train("-m", "seed=0,1", *QUICK)
    assert done.read_text() == kept
    assert halves.stdout.count("done before: ") == 1 and len(records(tmp_path / "runs")) == 2


def checkpoint(folder, name):
    path = folder / f"{name}.ckpt"
    if name == "other":
        torch.save(
            {"normlab": {"step": 1}, "state_dict": {"model.head.weight": torch.zeros(3, 3)}}, path
        )
    elif name == "evil":
        import pickle

        class Evil:
            def __reduce__(self):
                return (print, ("code in a checkpoint ran",))

        path.write_bytes(pickle.dumps({"normlab": Evil(), "state_dict": {}}))
    else:
        path.write_bytes(b"not a checkpoint")
    return f"trainer.resume={path}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["norm=foo"], "unknown norm 'foo': choose one of adain, batchnorm"),
        (
            ["model=vgg"],
            "unknown model 'vgg': choose one of mlp, plaincnn, resnet, rnn, speednet, transformer",
        ),
        (["data=imagenet"], "cifar10"),
        (["logger=mlflow"], "csv, none, tensorboard, wandb"),
        (["trainer=tpu"], "cpu, gpu"),
        (["norm.momentun=0.2"], "momentum"),
        (["lr=0.1"], "unknown key 'lr'"),
        (["seed=-1"], "seed=-1"),
        (["seed=99999999999999999999"], "from 0 to 18446744073709551615"),
        (["~norm"], "~norm: every run has a norm; choose one of adain"),
        (["+foo=1"], "unknown key 'foo'"),
        (["+optim.foo=1"], "unknown key 'optim.foo'"),
        (["norm=batchnorm,groupnorm"], "norm=batchnorm,groupnorm has several values: add -m"),
        (["seed=range(3)"], "seed=range(3) has several values: add -m"),
        (["hydra.mode=MULTIRUN", "norm=nothing,groupnorm"], "unknown norm 'nothing'"),
        (["optim.lr=fast"], "optim.lr"),
        (["norm.statistics=global"], "running, batch, instance"),
        (["probes=[weights]"], "gradient_norm"),
        (["norm=groupnorm", "norm.num_groups=5"], "1, 2, 4, 8, 16"),
        (["data.batch_size=-1"], "data.batch_size"),
        (["data.batch_size=100000"], "100000"),
        (["data.subset=0"], "data.subset"),
        (["trainer.threads=0"], "trainer.threads"),
        (["trainer.max_steps=5", "trainer.max_epochs=1"], "one budget"),
        (["optim.lr=-1"], "optim.lr"),
        (["model=transformer", "norm=batchnorm"], "allow_noncausal=true"),
        (["model=mlp", "norm=instancenorm"], "NCHW"),
        (["data=textfile", "model=transformer", "data.path=absent.txt"], "absent.txt"),
        (["data=textfile", "model=transformer"], "data.path"),
        (["data=imagefolder", "data.path=absent"], "absent"),
        (["model=speednet"], "model=speednet needs images of 9x9 or larger, not 8x8"),
        (["hydra.run.dir=/proc/nowhere"], "hydra.run.dir"),
        (["trainer.resume=absent.ckpt"], "no such file"),
    ],
)
def test_bad_input_gets_one_sentence(train, arguments, words):
    refused(train(*arguments), words)


def refused(done, words):
    assert done.returncode not in (0, None), done.stdout
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("error: ") and lines[0].endswith("."), (
        done.stderr
    )
    assert words in lines[0], lines[0]


@pytest.mark.parametrize(
    ("name", "words"),
    [("other", "another architecture"), ("noise", "damaged"), ("evil", "damaged")],
)
def test_checkpoints_are_read_safely(train, tmp_path, name, words):
    done = train(checkpoint(tmp_path, name), *QUICK)
    refused(done, words)
    assert "code in a checkpoint ran" not in done.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
def test_gpu_without_a_gpu(train):
    refused(train("trainer=gpu"), "trainer=cpu")


def test_empty_text_and_corrupt_files(train, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    refused(train("model=transformer", "data=textfile", f"data.path={empty}"), "empty")
    images = tmp_path / "images"
    for label in ("a", "b"):
        (images / label).mkdir(parents=True)
        for number in range(3):
            (images / label / f"{number}.png").write_bytes(b"not an image")
    refused(train("data=imagefolder", f"data.path={images}"), "0.png")
    parquet = tmp_path / "data" / "cifar10" / "plain_text" / "train-00000-of-00001.parquet"
    parquet.parent.mkdir(parents=True)
    parquet.write_bytes(b"not parquet")
    refused(train("data=cifar10", NORMLAB_DATA=str(tmp_path / "data")), "cifar10")


def test_missing_data_says_what_to_pass_at_once(train, tmp_path):
    empty = {
        "NORMLAB_DATA": str(tmp_path),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_ENDPOINT": "http://127.0.0.1:9",
    }
    refused(train("data=cifar10", **empty), "data=digits")
