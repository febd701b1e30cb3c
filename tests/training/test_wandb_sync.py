"""An offline run, replayed by wandb's own reader to a server of ours: everything that a
dashboard needs arrives."""

import base64
import hashlib
import json

import pytest
from wandb_server import sync

from normlab.config.compose import compose
from normlab.records.record import Record
from normlab.training.fit import fit
from normlab.training.loggers import panel_keys

RUN = [
    "norm=batchnorm",
    "norm.ghost_batch=8",
    "trainer.max_steps=20",
    "trainer.chunk_steps=10",
    "data.batch_size=16",
    "trainer.progress=false",
    "logger=wandb",
    "probes=[gradient_norm,activations,running_stats]",
    "claim=bn-batch-below-16",
    "arm='batchnorm 8'",
    "stage=evaluate",
    "seed=3",
]


@pytest.fixture(scope="module")
def synced(tmp_path_factory):
    """(folder of the run, its record, what `wandb sync` sent)."""
    folder = tmp_path_factory.mktemp("run")
    places = {f"WANDB_{name}_DIR": str(folder / "home") for name in ("CONFIG", "CACHE", "DATA")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"WANDB_MODE": "offline", "NORMLAB_SWEEP": "sweep-1", **places}.items():
            patch.setenv(name, value)
        record = fit(compose(RUN), folder)
    (run,) = (folder / "wandb").glob("offline-run-*")
    return run, record, sync(run, folder)


def test_group_job_type_tags_and_configuration(synced):
    _, record, received = synced
    first, *rest = received.calls["upsertBucket"]
    assert (first["project"], first["groupName"], first["jobType"]) == (
        "normlab",
        "sweep-1",
        "evaluate",
    )
    assert first["displayName"] == "batchnorm-plaincnn-digits-s3"
    assert first["tags"] == ["claim: bn-batch-below-16", "arm: batchnorm 8"]
    config = {}
    for call in (first, *rest):
        config |= json.loads(call["config"] or "{}")
    assert config["norm"]["value"] == record.config["norm"]
    assert config["panels"]["value"] == {"norm": "batchnorm", "normalization_batch": 8}


def test_curves_histograms_and_final_metrics(synced):
    _, record, received = synced
    steps = [row["trainer/global_step"] for row in received.history if "train/loss" in row]
    losses = [row["train/loss"] for row in received.history if "train/loss" in row]
    assert steps == [10, 20] and losses == pytest.approx(record.curve["train_loss"])
    drawn = {}
    for row in received.history:
        drawn |= {key: value for key, value in row.items() if "/histogram/" in key}
    counted = {key: sum(value["values"]) for key, value in drawn.items()}
    assert drawn["activations/histogram/head"]["_type"] == "histogram"
    assert counted["activations/histogram/head"] == 16 * 10  # one value per image and class
    assert counted["gradient_norm/histogram/features.0"] == 16 * 1 * 3 * 3
    assert counted["running_stats/histogram/features.1"] == 16  # one per channel
    assert max(counted.values()) <= 10_000
    (final,) = [row for row in received.history if "final/test_accuracy" in row]
    assert final["final/test_accuracy"] == pytest.approx(record.metrics["test_accuracy"])


def test_the_record_is_an_artifact(synced):
    run, record, received = synced
    (call,) = received.calls["createArtifact"]
    assert call["input"]["artifactTypeName"] == "record"
    assert call["input"]["artifactCollectionName"] == f"record-{record.key}"
    assert Record.read(run / "record.json") == Record.from_json(record.to_json())
    digest = base64.b64encode(hashlib.md5((run / "record.json").read_bytes()).digest()).decode()
    manifest = f"wandb-artifact-manifest-v1\nrecord.json:{digest}\n"
    assert call["input"]["digest"] == hashlib.md5(manifest.encode()).hexdigest()


def test_what_panels_group_by():
    pre = compose(["model=transformer", "norm=rmsnorm", "model.depth=6"])
    assert panel_keys(pre) == {
        "norm": "rmsnorm",
        "normalization_batch": pre.data.batch_size,
        "placement_depth": "pre, 6 layers",
    }
