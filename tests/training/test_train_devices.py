"""train.py in several processes: alone, from torchrun and in a sweep, one record per job."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from normlab.claims.registry import slugs
from normlab.config.compose import compose, to_dict
from normlab.records.record import trial_key
from normlab.records.store import RESULTS

QUICK = ["trainer.max_steps=4", "data.batch_size=16", "data.subset=64", "data.eval_subset=64"]


def records(folder):
    return [json.loads(path.read_text()) for path in sorted(folder.rglob("record.json"))]


# Here the group's processes are forks. In the two tests after this one they are interpreters, which
# take up their parent's program or torchrun's.
def test_two_processes_train_what_one_does(train, tmp_path):
    sweep = ["-m", "trainer.devices=null,2", "norm=groupnorm", *QUICK]
    done = train(*sweep)
    assert done.returncode == 0, done.stderr
    alone, both = sorted(
        records(tmp_path / "runs"), key=lambda row: row["config"]["trainer"]["devices"] or 1
    )
    assert alone["status"] == both["status"] == "ok"
    assert done.stdout.count("record.json]") == 2  # a line each, by the first process only
    assert both["metrics"]["test_loss"] == pytest.approx(alone["metrics"]["test_loss"], rel=1e-5)
    assert both["curve"]["train_loss"] == pytest.approx(alone["curve"]["train_loss"], rel=1e-5)
    assert both["samples"] == 4 * 16 and both["device"].startswith("2 x cpu")
    again = train(*sweep).stdout
    assert "2 jobs: 2 done (2 of them before)" in again  # which starts no group


def test_from_torchrun(tmp_path):
    root = RESULTS.parent
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        str(root / "train.py"),
    ]
    arguments = ["trainer.devices=2", "norm=syncbatchnorm", "trainer.checkpoint_every=2", *QUICK]
    done = subprocess.run(
        [*command, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    (record,) = records(tmp_path)
    assert record["status"] == "ok" and len(list((tmp_path / "runs").glob("*/*"))) == 1
    assert len(list(tmp_path.rglob("last.ckpt"))) == 1 and not list(tmp_path.rglob("*.partial"))


def test_a_process_that_dies_ends_the_job(train_in_an_interpreter, tmp_path):
    """The second process is killed at its first step, by a norm that does so."""
    train = train_in_an_interpreter
    (tmp_path / "norms").mkdir()
    (tmp_path / "norms" / "deadly.py").write_text(
        "import os, signal\n"
        "from normlab.norms import Norm, norm_kind\n\n\n"
        "@norm_kind('deadly', has_shift=True)\n"
        "class Deadly(Norm):\n"
        "    def __init__(self, num_features: int, layout: str):\n"
        "        super().__init__(num_features, layout)\n"
        "        self.add_affine()\n\n"
        "    def forward(self, x):\n"
        "        if os.environ.get('RANK') == '1':\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return x * self.per_channel(self.weight) + self.per_channel(self.bias)\n"
    )
    done = train("norm=deadly", "trainer.devices=2", *QUICK, NORMLAB_NORMS=str(tmp_path / "norms"))
    assert done.returncode not in (0, None)
    assert "rank 1 died: exit status -9" in done.stderr
    (record,) = records(tmp_path / "runs")
    assert record["status"] == "failed" and "rank 1 died" in record["message"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["trainer.devices=3"],
            "data.batch_size=16 is the global batch and does not divide among 3 processes",
        ),
        (["trainer.devices=0"], "trainer.devices=0: give a number from 1 to 1024."),
        (["norm=syncbatchnorm"], "norm.fallback=true"),
    ],
)
def test_refused_in_one_sentence(train, arguments, words):
    done = train(*QUICK, *arguments)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert done.returncode == 2 and len(lines) == 1 and words in lines[0], done.stderr


def test_keys_of_recorded_trials_stay_as_they_are():
    checked, today = 0, to_dict(compose())["trainer"]
    for slug in slugs():
        paths = [folder / f"{slug}.jsonl" for folder in (RESULTS, RESULTS / "earlier")]
        lines = []
        for path in filter(Path.exists, paths):
            lines += path.read_text().splitlines()[:3]
        for line in lines:
            row = json.loads(line)
            if "trainer" in row["config"]:
                now = {**today, **row["config"]["trainer"]}
                assert {"devices", "timeout_s"} <= now.keys() and now["devices"] is None
                assert trial_key({**row["config"], "trainer": now}) == row["key"]
                checked += 1
    assert checked or "NORMLAB_DATA" not in os.environ
