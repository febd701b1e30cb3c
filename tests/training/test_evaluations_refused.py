"""Evaluations of networks and data that they cannot be had of: nothing is lost after a training."""

import copy

import pytest
import torch

from normlab.config.compose import compose
from normlab.errors import NormLabError
from normlab.training.evaluations import evaluation
from normlab.training.evaluations.batching import BATCHES
from normlab.training.evaluations.beforehand import check_beforehand
from normlab.training.evaluations.reevaluation import large_batches
from normlab.training.fit import fit
from normlab.training.running_statistics import batch_norms
from normlab.training.setup import set_up

IMAGES = ["data.eval_subset=101", "data.batch_size=32"]  # in pairs, one is left


def setup_of(*overrides):
    return set_up(compose([*IMAGES, *overrides]))


def test_rows_by_themselves_have_no_statistics_to_measure():
    setup = setup_of("model=mlp", "norm=batchnorm")
    found = evaluation("train_mode", setup)
    sizes = [size for size in BATCHES if f"train_mode_flips_{size}" in found]
    assert sizes == [16, 64, 256] and "drifted_accuracy" not in found
    assert all(f"eval_mode_flips_{size}" in found for size in BATCHES)
    names = set(evaluation("adaptation", setup))
    assert "adapted_256_accuracy" in names and "adapted_sorted_accuracy" in names
    assert not {"adapted_1_accuracy", "adapted_4_accuracy"} & names
    assert set(evaluation("statistics", setup)) == {"batch_test_loss", "batch_test_accuracy"}
    odd = setup_of("model=mlp", "norm=batchnorm", "data.subset=33")
    assert "accumulation_error_2" not in evaluation("accumulation", odd)


def test_batch_norms_that_cannot_be_told_the_batch_have_no_train_mode():
    setup = setup_of("norm=custom", "norm.target=torch.nn.BatchNorm2d")
    assert evaluation("train_mode", setup) == {}


def test_precise_statistics_of_a_small_training_set_are_of_all_of_it():
    setup = setup_of("norm=batchnorm", "data.subset=300")
    batches = list(large_batches(setup.data, 500))
    assert [len(y) for _, y in batches] == [setup.data.steps_per_epoch * 32]
    # By hand, since by the running ones of a new layer everything would be left as it is.
    first = copy.deepcopy(setup.model).train()
    for layer in batch_norms(first):
        layer.momentum = None
    with torch.no_grad():
        first(batches[0][0])
        x, y = next(iter(setup.data.eval_batches("test")))
        expected = float((first.eval()(x).argmax(1) == y).double().mean())
    assert evaluation("precise", setup)["precise_test_accuracy"] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["accumulation", "adaptation", "contrast", "corruptions"])
def test_text_is_refused_before_the_training(name, tmp_path):
    text = ["model=transformer", "data=pydoc", f"evaluations=[{name}]", "trainer.max_steps=1000000"]
    with pytest.raises(NormLabError, match=f"evaluations=.{name}. is for images.*whole_test"):
        fit(compose(text), tmp_path)
    assert not list(tmp_path.iterdir())


def test_text_has_the_others():
    names = "precise,statistics,stream,styles,twice_context,whole_test"
    text = ["model=transformer", "model.depth=1", "model.width=16", "norm=batchnorm"]
    small = ["data=pydoc", "data.subset=20000", "data.eval_subset=2000", "data.batch_size=4"]
    steps = ["trainer.max_steps=2", "trainer.progress=false", "allow_noncausal=true"]
    record = fit(compose([*text, *small, *steps, f"evaluations=[{names}]"]))
    assert {"precise_test_loss", "instance_test_loss", "stream_growth"} <= record.metrics.keys()
    assert "whole_test_loss" in record.metrics


LONG = "trainer.max_steps=1000000"  # which nobody waits for


@pytest.mark.parametrize("norm", [["norm=batchnorm", "norm.statistics=batch"], [
    "norm=custom", "norm.target=torch.nn.BatchNorm1d", "norm.options={track_running_stats: false}",
]])  # fmt: skip
def test_a_rest_of_one_sample_is_found_before_the_training(norm, tmp_path):
    rows = ["model=mlp", *norm, LONG, "data.eval_batch_size=269"]  # 270 each
    with pytest.raises(NormLabError, match=r"eval_batch_size=269 makes a batch of 1 of the val"):
        fit(compose(rows), tmp_path)
    assert not list(tmp_path.iterdir())
    check_beforehand(setup_of("model=mlp", *norm, "data.eval_batch_size=40"))


def test_the_whole_test_split_has_a_rest_of_its_own():
    rows = ["model=mlp", "norm=batchnorm", "norm.statistics=batch", "data.eval_batch_size=269"]
    check_beforehand(setup_of(*rows))
    with pytest.raises(NormLabError, match="batch of 1 of the test"):
        check_beforehand(setup_of(*rows, "evaluations=[whole_test]"))


def test_a_text_too_short_for_twice_the_context_is_refused_before_the_training(tmp_path):
    short = ["model=rnn", "data=pydoc", "data.eval_subset=100", "data.subset=5000"]
    with pytest.raises(NormLabError, match=r"twice_context. doubles .* data\.context=128"):
        fit(compose([*short, "evaluations=[twice_context]", LONG]), tmp_path)
    assert not list(tmp_path.iterdir())
