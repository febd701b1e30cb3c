"""Statistics of several processes: synchronized, those of the joined batch; local, those of
ghost batches."""

import pytest
import rank_functions
import torch

from normlab.measure import distributed
from normlab.norms import make_norm
from normlab.training.processes import run_group

PRELOAD = ("normlab.measure.distributed",)
pytestmark = pytest.mark.usefixtures("group_server")


@pytest.mark.parametrize("counts", [(3, 5), (5, 1, 0, 2)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 1e-5)])
def test_syncbatchnorm_is_batchnorm_on_the_joined_batch(counts, dtype, tolerance):
    errors = distributed.in_processes(distributed.synced_layer, len(counts), 0, dtype, counts)
    assert len(errors) == 7 and max(errors.values()) < tolerance, errors


def test_it_is_so_in_every_layout_and_over_several_steps():
    for errors in run_group(rank_functions.layouts_and_modes, 2, preload=PRELOAD):
        assert len(errors) == 5 and max(errors.values()) < 1e-10, errors


def test_a_gradient_penalty_is_that_of_the_joined_batch():
    for errors in run_group(rank_functions.gradient_penalty, 2, preload=PRELOAD):
        assert len(errors) == 4 and max(errors.values()) < 1e-10, errors


@pytest.mark.parametrize("workers", [2, 4])
def test_a_network_has_the_gradient_of_one_process(workers):
    local, ghost, sync = ("batchnorm", {}), ("batchnorm", {"ghost_batch": 8}), ("syncbatchnorm", {})
    measure = distributed.network_errors
    found = distributed.in_processes(measure, workers, 1, local, ghost, 8)
    assert found["gradient"] < 1e-10 and found["buffers"] < 1e-10
    assert distributed.in_processes(measure, workers, 1, sync, local, 8)["gradient"] < 1e-10
    assert (
        distributed.in_processes(measure, workers, 1, local, local, 8)["gradient"] > 0.1
    )  # so equality says something
    group = ("groupnorm", {})
    assert distributed.in_processes(measure, workers, 1, group, group, 8)["gradient"] < 1e-10


@pytest.mark.parametrize(
    ("kind", "means"), [("batchnorm", (0.0, 10.0, 0.0)), ("syncbatchnorm", (5.0, 5.0, 5.0))]
)
def test_ddp_keeps_the_first_process_s_buffers(kind, means):
    (first, first_later), (second, second_later) = run_group(
        rank_functions.saved_buffers, 2, kind, preload=PRELOAD
    )
    assert (first, second, second_later) == pytest.approx(means)
    assert first == first_later


def test_layernorm_by_channels_needs_shared_moments():
    errors = distributed.in_processes(distributed.sharded_layernorm, 2, 0)
    assert errors["shared"] < 1e-10 < 0.1 < errors["own"]


def test_without_a_group_it_is_refused_or_plain():
    x = torch.randn(4, 3, 5, 5)
    with pytest.raises(ValueError, match="no process group to train in"):
        make_norm("syncbatchnorm", 3)(x)
    plain, told = make_norm("batchnorm", 3), make_norm("syncbatchnorm", 3, fallback=True)
    assert torch.equal(told(x), plain(x)) and torch.equal(told.running_var, plain.running_var)
    assert torch.equal(make_norm("syncbatchnorm", 3).eval()(x), make_norm("batchnorm", 3).eval()(x))


@pytest.mark.gpu
def test_it_is_torch_s_on_a_gpu():
    for errors in run_group(rank_functions.gpu_against_torch, 2):
        assert max(errors.values()) < 1e-5, errors
