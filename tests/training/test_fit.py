"""fit(cfg): deterministic, resumable, honest about divergence, and it learns real data."""

import copy
import math

import pytest
import torch
from torch.nn.utils import parametrize

from normlab.config.compose import compose
from normlab.data import load_data
from normlab.errors import NormLabError
from normlab.norms import kernels
from normlab.training.fit import fit
from normlab.training.probes import GradientNorm
from normlab.training.setup import set_up
from normlab.training.step import loss_of

QUICK = ["trainer.max_steps=40", "data.batch_size=16", "logger=none", "trainer.progress=false"]


def run(*overrides, run_dir=None):
    return fit(compose([*QUICK, *overrides]), run_dir)


def same(a, b):
    """The metrics that a computation decides (speed is not one of them)."""
    names = [name for name in a.metrics if name != "samples_per_s"]
    return all(a.metrics[name] == b.metrics[name] for name in names)


@pytest.mark.parametrize(
    "overrides",
    [
        ["norm=batchnorm"],
        ["norm=groupnorm", "optim=adamw"],
        ["model=transformer", "trainer.max_steps=10", "data.eval_subset=2000"],
    ],
)
def test_same_seed_twice_is_bit_identical(overrides):
    first = run(*overrides)
    torch.rand(5)  # whatever happened to the global generator in between
    second = run(*overrides)
    assert same(first, second) and first.curve == second.curve and first.key == second.key
    assert not same(first, run(*overrides, "seed=1"))


def test_chunk_size_and_probes_change_nothing():
    plain = run("norm=batchnorm", "trainer.chunk_steps=40")
    probed = run(
        "norm=batchnorm",
        "trainer.chunk_steps=5",
        "probes=[gradient_norm,activations,running_stats]",
    )
    for name in ("test_accuracy", "test_loss", "val_loss"):
        assert plain.metrics[name] == probed.metrics[name]
    assert len(probed.probes) == 3 * 8
    by_name = {row["probe"]: row for row in probed.probes}
    assert len(by_name["gradient_norm"]["norm"]) == 6 and min(by_name["gradient_norm"]["norm"]) > 0
    assert len(by_name["activations"]["variance"]) == 6
    assert len(by_name["running_stats"]["mean_drift"]) == 5
    # Running statistics start at (0, 1) and approach the batch's.
    drifts = [max(row["mean_drift"]) for row in probed.probes if row["probe"] == "running_stats"]
    assert drifts[-1] < drifts[0]


@pytest.mark.parametrize("kind", ["weightnorm", "spectralnorm", "weight_standardization"])
def test_gradient_norms_are_of_the_weights_that_layers_apply(kind):
    cfg = compose([*QUICK, f"reparam={kind}", "norm=groupnorm"])
    setup = set_up(cfg)
    x, y = setup.data.batch(0)
    row = GradientNorm().measure(copy.deepcopy(setup.model).train(), x, y)
    plain = copy.deepcopy(setup.model).train()
    for module in plain.modules():
        if parametrize.is_parametrized(module):  # the power iteration's step, and then plain values
            parametrize.remove_parametrizations(module, "weight")
    loss_of(plain, x, y).backward()
    layers = [plain.get_submodule(name) for name in row["layers"]]
    expected = [float(layer.weight.grad.norm()) for layer in layers]
    assert row["norm"] == pytest.approx(expected, rel=1e-4) and min(expected) > 0


def test_accumulation_is_a_larger_batch_for_a_per_sample_norm(monkeypatch):
    """Two halves with accumulation against the joined batch: the same gradients for GroupNorm,
    not for BatchNorm."""
    import normlab.training.setup as module

    def losses(kind, batch_size, accumulate):
        sizes = [
            f"data.batch_size={batch_size}",
            f"trainer.accumulate={accumulate}",
            "trainer.max_steps=6",
        ]
        cfg = compose([f"norm={kind}", *sizes, "trainer.chunk_steps=1", "trainer.progress=false"])
        joined = load_data(compose(["data=digits", "data.batch_size=32"]).data, 0)

        def load(*arguments, **options):
            data = load_data(*arguments, **options)
            parts = 32 // batch_size

            def batch(step):
                x, y = joined.batch(step // parts)
                part = slice(step % parts * batch_size, (step % parts + 1) * batch_size)
                return x[part], y[part]

            data.batch = batch
            return data

        monkeypatch.setattr(module, "load_data", load)
        return torch.tensor(fit(cfg).curve["train_loss"])

    torch.testing.assert_close(
        losses("groupnorm", 16, 2), losses("groupnorm", 32, 1), rtol=1e-4, atol=1e-5
    )
    assert (losses("batchnorm", 16, 2) - losses("batchnorm", 32, 1)).abs().max() > 1e-3


def test_divergence_is_an_outcome_and_ends_the_run():
    record = run("norm=none", "optim.lr=1e6", "optim.warmup=0", "trainer.chunk_steps=4")
    assert record.status == "diverged" and "not finite" in record.message
    assert record.steps < 40 and record.curve["step"][-1] == record.steps
    assert record.samples == record.steps * 16
    assert 0 <= record.metrics["test_accuracy"] <= 0.25  # measured, not invented
    assert '"train_loss": null' in record.to_json()
    whole = run(
        "norm=none",
        "optim.lr=1e6",
        "optim.warmup=0",
        "trainer.chunk_steps=4",
        "trainer.stop_diverged=false",
    )
    assert whole.status == "diverged" and whole.steps == 40


def test_a_run_that_sits_at_the_trivial_loss_is_called_stuck_at_its_end():
    record = run("norm=groupnorm", "optim.lr=1e-9", "trainer.chunk_steps=4")
    assert record.status == "diverged" and "stuck" in record.message
    assert record.steps == 40  # its whole budget
    assert record.metrics["test_loss"] == pytest.approx(math.log(10), rel=0.2)


@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer.precision=bf16", "model.width=8"], ["trainer.channels_last=true"],
        ["trainer.precision=bf16", "trainer.channels_last=true", "model.width=8"],
        ["optim=adamw"], ["optim.clip_norm=1.0"], ["optim.decay=linear"], ["optim.decay=constant"],
        ["reparam=weightnorm"], ["reparam=spectralnorm"], ["reparam=weight_standardization"],
        ["norm=frn"], ["norm=batchrenorm"], ["norm=instancenorm", "model=resnet", "model.depth=8"],
    ],
)  # fmt: skip
def test_options_train(overrides):
    record = run("norm=groupnorm", *overrides, "trainer.max_steps=50", "data.batch_size=64")
    assert record.status == "ok", record.message
    assert record.metrics["test_accuracy"] > 0.5


def test_budget_in_epochs_steps_or_samples():
    assert run("trainer.max_steps=7").steps == 7
    samples = ["trainer.max_steps=null", "trainer.max_samples=800"]
    assert run(*samples).steps == 50
    assert run(*samples, "trainer.accumulate=2").steps == 25
    epoch = run("trainer.max_steps=null", "trainer.max_epochs=1")
    assert epoch.steps == epoch.samples // 16 > 50
    with pytest.raises(NormLabError, match="one budget"):
        run("trainer.max_epochs=1")
    with pytest.raises(NormLabError, match="above 0"):
        run("trainer.max_steps=0")


def test_validation_while_training_leaves_the_run_as_it_is():
    plain, watched = (
        run("norm=batchnorm"),
        run("norm=batchnorm", "trainer.eval_every=10", "trainer.chunk_steps=5"),
    )
    assert watched.curve["val_step"] == [10, 20, 30]
    assert plain.metrics["test_loss"] == watched.metrics["test_loss"]


@pytest.mark.parametrize("kind", ["batchnorm", "groupnorm"])
def test_learns_real_images(kind, real_data):
    record = run(
        f"norm={kind}", *real_data["images"], "trainer.max_steps=120", "data.batch_size=64"
    )
    assert record.status == "ok"
    assert record.metrics["test_accuracy"] > 0.2  # chance is 0.1


@pytest.mark.parametrize("kind", ["layernorm", "rmsnorm"])
def test_learns_real_text(kind, real_data):
    record = run(
        "model=transformer",
        f"norm={kind}",
        *real_data["text"],
        "trainer.max_steps=150",
        "data.eval_subset=10000",
    )
    assert record.status == "ok"
    assert (
        record.metrics["val_loss"] < record.metrics["trivial_loss"] - 0.3
    )  # unigram entropy, nats


def test_record_says_what_it_was():
    record = run("norm=batchnorm", "norm.ghost_batch=8", "seed=3", "claim=c", "arm=a", "stage=tune")
    assert (record.claim, record.arm, record.stage, record.seed) == ("c", "a", "tune", 3)
    assert (
        record.config["norm"]["ghost_batch"] == 8
        and record.config["norm"]["statistics"] == "running"
    )
    assert record.data["name"] == "digits" and len(record.data["fingerprint"]) >= 8
    assert record.device.startswith("cpu") and record.versions["torch"] == torch.__version__
    assert record.versions["kernel"] == kernels.name()
    assert set(record.code) == {"git", "dirty", "source"}
    assert record.samples == 40 * 16 and record.duration_s > 0 and record.started
    assert "resume" not in record.key


@pytest.mark.gpu
def test_gpu_trains_what_the_cpu_trains():
    record = run("trainer=gpu", "norm=batchnorm", "trainer.max_steps=120", "data.batch_size=64")
    assert record.status == "ok" and record.metrics["test_accuracy"] > 0.5
