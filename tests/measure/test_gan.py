"""A small GAN: what is covered, by hand, and where the two networks have which norms."""

import math

import pytest
import torch
from torch import nn

from normlab.errors import NormLabError
from normlab.measure import gan
from normlab.measure.gan import Setting, coverage, judged, networks, occupied, train


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_real_samples_cover_every_mode_and_have_unit_variance():
    x = gan.real_samples(2500, generator())
    modes, near = coverage(x)
    assert modes == 25 and near > 0.98
    assert x.std(dim=0) == pytest.approx([1, 1], abs=0.05)


def test_a_mode_counts_from_a_fifth_of_its_samples_on():
    centres = gan.centres()
    samples = torch.cat([centres[:1].repeat(19, 1), centres[7:8].repeat(20, 1)])
    far = torch.full((2500 - len(samples), 2), 9.0)
    assert coverage(torch.cat([samples, far])) == (1, pytest.approx(39 / 2500))


def test_a_cloud_without_modes_covers_few_of_them():
    uniform = (torch.rand(2500, 2, generator=generator()) - 0.5) * 2 * math.sqrt(3)
    assert coverage(uniform)[0] <= 3


def test_samples_that_are_not_numbers_cover_nothing():
    assert coverage(torch.full((2500, 2), math.nan)) == (0, 0.0)


def test_cells_tell_a_blurred_cloud_from_a_collapsed_one():
    assert occupied(gan.real_samples(2500, generator())) == 25
    assert occupied(gan.centres()[7:8].repeat(2500, 1)) == 1
    # Of one sample of each Gaussian all are occupied, too: a fifth of one is due.
    assert occupied(gan.centres()) == 25
    noise = torch.randn(2500, 2, generator=generator(1))
    blurred = gan.real_samples(2500, generator()) + gan.SPACING / 2 * noise
    assert occupied(blurred) == 25 and coverage(blurred)[0] <= 3


def test_a_cell_is_occupied_from_a_fifth_of_its_samples_on_and_by_numbers_alone():
    centres = gan.centres()
    few = torch.cat([centres[:1].repeat(19, 1), centres[7:8].repeat(20, 1)])
    missing = torch.full((2500 - len(few), 2), math.nan)
    assert occupied(torch.cat([few, missing])) == 1
    assert occupied(torch.full((2500, 2), math.inf)) == 0


def test_norms_stand_where_dcgan_has_them():
    made, judge = networks(Setting("batchnorm", "batchnorm", 4), generator())
    kinds = [[type(layer).__name__ for layer in net] for net in (made, judge)]
    block = ["Linear", "BatchNorm", "ReLU"]
    assert kinds[0] == [*block * 3, "Linear"]
    assert [kind for kind in kinds[1] if kind == "BatchNorm"] == ["BatchNorm"] * 2
    assert "BatchNorm" not in kinds[1][:3]


def test_spectral_norm_is_of_weights_and_of_the_discriminator_alone():
    judge = networks(Setting("none", "spectralnorm", 4), generator())[1]
    judge.eval()
    for layer in judge:
        if isinstance(layer, nn.Linear):
            # One power iteration from random vectors: near 1, not at it.
            largest = float(torch.linalg.matrix_norm(layer.weight.detach(), 2))
            assert largest == pytest.approx(1, abs=0.25)
    with pytest.raises(NormLabError, match="discriminator"):
        networks(Setting("spectralnorm", "none", 4), generator())


def test_a_seed_has_the_same_weights_whatever_the_norms():
    first, second = (networks(Setting(kind, kind, 4), generator())
                     for kind in ("none", "batchnorm"))  # fmt: skip
    for net, other in zip(first, second, strict=True):
        weights = [[layer.weight for layer in one if isinstance(layer, nn.Linear)]
                   for one in (net, other)]  # fmt: skip
        assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


def test_separate_batches_have_statistics_of_their_own():
    judge = networks(Setting("none", "batchnorm", 4), generator())[1]
    real, fake = torch.randn(2, 16, 2, generator=generator())
    apart, moved = (judged(judge, real, fake + shift, False)[0] for shift in (0, 5))
    torch.testing.assert_close(apart, moved)
    together, moved = (judged(judge, real, fake + shift, True)[0] for shift in (0, 5))
    assert not torch.allclose(together, moved)
    by_hand = judge(torch.cat([real, fake]))[:16]
    torch.testing.assert_close(together, by_hand)


def test_the_loss_of_a_discriminator_that_knows_nothing_is_ln_2():
    zeros = torch.zeros(8, 1)
    assert float(gan.discriminator_loss(zeros, zeros)) == pytest.approx(math.log(2))


@pytest.mark.parametrize("mixed", [False, True])
def test_a_training_moves_both_networks_and_gives_the_same_again(mixed):
    setting = Setting("batchnorm", "batchnorm", 8, mixed)
    before = networks(setting, generator(3))
    first, again = (train(setting, 0.01, 8, seed=3) for _ in range(2))
    for old, new, same in zip(
        before, (first.generator, first.discriminator), (again.generator, again.discriminator),
        strict=True,
    ):  # fmt: skip
        assert not torch.equal(old[0].weight, new[0].weight)
        assert torch.equal(new[0].weight, same[0].weight)
    assert torch.equal(first.losses, again.losses) and len(first.losses) == 4
    metrics = gan.grid_of_gaussians(setting, 2, (0.01,), seed=3)
    assert metrics["modes"] <= metrics["cells"] <= 25 and math.isfinite(metrics["log_oscillation"])
    assert metrics["log_rate"] == pytest.approx(math.log(0.01))


def test_looking_at_the_loss_leaves_running_statistics_alone(monkeypatch):
    setting = Setting("batchnorm", "batchnorm", 8)
    with_looks = train(setting, 0.01, 6, seed=1)
    monkeypatch.setattr(gan, "_fixed_loss", lambda *_: 0.0)
    without = train(setting, 0.01, 6, seed=1)
    for name, value in with_looks.generator.state_dict().items():
        assert torch.equal(value, without.generator.state_dict()[name])
