"""`normlab run --logger`: trainings log with claim, arm and stage; keys stay, nothing else logs."""

import json
import os

from wandb_server import sync

TRAINED = '''"""A claim of one arm that trains for four steps."""

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.looks import Looks
from normlab.claims.quantity import value
from normlab.claims.rules import AtLeast

CLAIM = Claim(
    slug="trained",
    statement="It trains.",
    documents=("A document",),
    source="nobody",
    prediction="supported",
    arms=(Arm("groups", ("norm=groupnorm",)),),
    protocols={
        "quick": Protocol(
            ("data=digits", "trainer.max_steps=4"),
            looks=Looks((1,)),
            learning_rates=(0.01, 0.1),
            extend=False,
        )
    },
    clauses=(Part("all", "It trains.", value("groups", "val_accuracy"), AtLeast(1.0)),),
    answers=Answers("It does.", "It does not."),
    first_seed=0,
)
'''


def test_each_training_logs_with_claim_arm_and_stage_under_its_usual_key(normlab, toy, tmp_path):
    experiments = toy(seeds=1)
    (experiments / "trained.py").write_text(TRAINED)
    places = {f"WANDB_{name}_DIR": str(tmp_path / "home") for name in ("CONFIG", "CACHE", "DATA")}
    environment = {
        **os.environ,
        **places,
        "NORMLAB_EXPERIMENTS": str(experiments),
        "WANDB_MODE": "offline",
    }
    command = ("run", "trained", "toy", "--results", "results", "--workers", "1")

    def run(*arguments):
        done = normlab(*command, *arguments, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "4 trials in" in (said := run("--logger", "wandb", "--logger", "tensorboard"))
    assert "logs in runs/claims/" in said
    assert run().startswith("0 trials in")  # a logger changes no key
    rows = [
        json.loads(line)
        for line in (tmp_path / "results" / "trained.jsonl").read_text().splitlines()
    ]
    logs = tmp_path / "runs" / "claims"
    assert [folder.name for folder in logs.iterdir()] == [
        "trained"
    ]  # toy measures in its own trial
    assert {folder.name for folder in (logs / "trained").iterdir()} == {row["key"] for row in rows}
    for row in rows:
        folder = logs / "trained" / row["key"]
        assert list((folder / "tensorboard").glob("events.out.tfevents.*"))
        (offline,) = (folder / "wandb").glob("offline-run-*")
        sent = sync(offline, tmp_path).calls["upsertBucket"][0]
        assert (sent["groupName"], sent["jobType"]) == ("trained", row["stage"])
        assert sent["tags"] == ["claim: trained", "arm: groups"]
    assert sorted(row["stage"] for row in rows) == ["evaluate"] * 2


def test_without_the_option_nothing_is_logged_and_an_unknown_logger_is_refused(
    normlab, toy, tmp_path
):
    experiments = toy(seeds=1)
    (experiments / "trained.py").write_text(TRAINED)
    environment = {**os.environ, "NORMLAB_EXPERIMENTS": str(experiments), "COLUMNS": "200"}
    command = ("run", "trained", "--results", "results", "--workers", "1")
    done = normlab(*command, env=environment, cwd=tmp_path)
    assert done.returncode == 0 and "2 trials in" in done.stdout, done.stdout + done.stderr
    assert not (tmp_path / "runs").exists()
    done = normlab(*command, "--logger", "mlflow", env=environment, cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert all(name in done.stderr for name in ("csv", "tensorboard", "wandb"))
