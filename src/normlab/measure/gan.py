"""A small generative adversarial network on a grid of 25 Gaussians: which of them it generates."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from normlab.errors import NormLabError
from normlab.measure.rates import best_rate
from normlab.norms import make_norm

LATENT, WIDTH, DEPTH = 8, 64, 3  # hidden layers of each network
SIDE = 5  # a grid of 5 x 5
SPACING = 1 / math.sqrt(2)  # so that each coordinate has unit variance
DEVIATION = SPACING / 15  # of each Gaussian
SAMPLES, FEWEST = 2500, 20  # drawn in the end; of 100 expected, so many make a mode covered
POINTS = 512  # on which losses are measured
LOOKS = 60  # measurements of the losses in the second half
LARGEST_LOSS = 100.0
SPECTRAL = "spectralnorm"


@dataclass(frozen=True)
class Setting:
    """Which norms the two networks have, and what share statistics.

    generator, discriminator: kinds of norms, `none`, or for the discriminator `spectralnorm`, which
    divides each weight matrix by its largest singular value (Miyato et al. 2018).
    batch: real samples of a step, and as many generated ones.
    mixed: real and generated samples go through the discriminator in one batch, else in two.
    """

    generator: str
    discriminator: str
    batch: int
    mixed: bool = False


@dataclass(frozen=True)
class Trained:
    """Two networks after a training, in train mode, and the losses of the discriminator on fixed
    points along its second half (LOOKS,)."""

    setting: Setting
    generator: nn.Module
    discriminator: nn.Module
    losses: Tensor


def centres() -> Tensor:
    """(25, 2) of the Gaussians."""
    line = (torch.arange(SIDE) - SIDE // 2) * SPACING
    return torch.cartesian_prod(line, line)


def real_samples(n: int, generator: torch.Generator) -> Tensor:
    """(n, 2), each of a Gaussian that is drawn with equal chances."""
    which = torch.randint(SIDE**2, (n,), generator=generator)
    return centres()[which] + DEVIATION * torch.randn(n, 2, generator=generator)


def networks(setting: Setting, generator: torch.Generator) -> tuple[nn.Module, nn.Module]:
    """The generator (N, LATENT) -> (N, 2) and the discriminator (N, 2) -> (N, 1), He's weights.

    Norms stand where DCGAN has them (Radford et al. 2016): before each ReLU, but not in the first
    layer of the discriminator.

    Raises:
        NormLabError: `spectralnorm` in the generator.
    """
    if setting.generator == SPECTRAL:
        raise NormLabError("spectralnorm is for the discriminator: choose a norm or none.")
    bare = setting.discriminator == SPECTRAL
    kind = "none" if bare else setting.discriminator
    made = _layers(LATENT, 2, setting.generator, 0, generator)
    judge = _layers(2, 1, kind, 1, generator)
    if bare:
        judge = [spectral_norm(one) if isinstance(one, nn.Linear) else one for one in judge]
    return nn.Sequential(*made), nn.Sequential(*judge)


def _layers(
    inputs: int, outputs: int, kind: str, first: int, generator: torch.Generator
) -> list[nn.Module]:
    """Linear, norm from hidden layer `first` on, ReLU, and so on; a linear layer at the end."""
    layers: list[nn.Module] = []
    fan_in = inputs
    for depth in range(DEPTH):
        layers.append(_linear(fan_in, WIDTH, 2.0, generator))
        if depth >= first:
            layers.append(make_norm(kind, WIDTH, "NC"))
        layers.append(nn.ReLU())
        fan_in = WIDTH
    return [*layers, _linear(WIDTH, outputs, 1.0, generator)]


def _linear(fan_in: int, fan_out: int, gain: float, generator: torch.Generator) -> nn.Linear:
    layer = nn.Linear(fan_in, fan_out)
    with torch.no_grad():
        layer.weight.normal_(0, (gain / fan_in) ** 0.5, generator=generator)
        layer.bias.zero_()
    return layer


def judged(discriminator: nn.Module, real: Tensor, fake: Tensor, mixed: bool) -> tuple[Tensor, ...]:
    """Logits of `real` (N, 2) and `fake` (N, 2), in one batch or in two."""
    if not mixed:
        return discriminator(real), discriminator(fake)
    both: Tensor = discriminator(torch.cat([real, fake]))
    return both[: len(real)], both[len(real) :]


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Mean of -log D(real) and -log(1 - D(fake)), of logits, in nats (Goodfellow et al. 2014)."""
    return (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2


def train(setting: Setting, rate: float, steps: int, seed: int) -> Trained:
    """`steps` alternating steps of Adam (beta 0.5, 0.999) at a constant rate, the generator by the
    loss that does not saturate, -log D(fake)."""
    draw = torch.Generator().manual_seed(seed)
    generator, discriminator = networks(setting, draw)
    fixed = real_samples(POINTS, draw), torch.randn(POINTS, LATENT, generator=draw)
    optimizers = [
        torch.optim.Adam(net.parameters(), lr=rate, betas=(0.5, 0.999), fused=True)
        for net in (generator, discriminator)
    ]
    # All at once: for so small networks a draw costs as much as a layer.
    reals = real_samples(steps * setting.batch, draw).split(setting.batch)
    latents = torch.randn(steps * setting.batch, LATENT, generator=draw).split(setting.batch)
    every = max(1, steps // (2 * LOOKS))
    losses = []
    for step, (real, z) in enumerate(zip(reals, latents, strict=True)):
        fake = generator(z)
        loss = discriminator_loss(*judged(discriminator, real, fake.detach(), setting.mixed))
        _step(optimizers[1], loss)
        discriminator.requires_grad_(False)
        # In the same batch as real samples if it was judged so: else its statistics are others.
        fooled = (
            judged(discriminator, real, fake, True)[1] if setting.mixed else discriminator(fake)
        )
        _step(optimizers[0], F.softplus(-fooled).mean())
        discriminator.requires_grad_(True)
        if step >= steps // 2 and step % every == 0:
            losses.append(_fixed_loss(setting, generator, discriminator, *fixed))
    return Trained(setting, generator, discriminator, torch.tensor(losses))


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@torch.no_grad()
def _fixed_loss(
    setting: Setting, generator: nn.Module, discriminator: nn.Module, real: Tensor, z: Tensor
) -> float:
    """The discriminator's loss on points that stay the same, with statistics of all of them: so
    that what varies is the networks, and no draw of a small batch."""
    made, judge = copy.deepcopy(generator), copy.deepcopy(discriminator)
    loss = discriminator_loss(*judged(judge, real, made(z), setting.mixed))
    return float(loss.nan_to_num(LARGEST_LOSS).clamp(max=LARGEST_LOSS))


@torch.no_grad()
def generated(trained: Trained, seed: int, *, as_in_training: bool = False) -> Tensor:
    """(SAMPLES, 2) in eval mode, or in train mode in batches of the training's size."""
    net = copy.deepcopy(trained.generator).train(as_in_training)
    z = torch.randn(SAMPLES, LATENT, generator=torch.Generator().manual_seed(seed))
    whole = SAMPLES - SAMPLES % trained.setting.batch
    parts = z[:whole].split(trained.setting.batch) if as_in_training else [z]
    return torch.cat([net(part) for part in parts])


def coverage(samples: Tensor) -> tuple[int, float]:
    """How many of the 25 Gaussians `samples` (n, 2) cover, and the share of samples that are near
    one.

    Near: within 3 standard deviations. Covered: a fifth of the samples that are due to it. A single
    one, which papers ask for, is what a cloud without any mode would leave near each of them.
    """
    apart = torch.cdist(samples, centres())
    nearest, which = apart.min(dim=1)
    near = nearest < 3 * DEVIATION
    counts = torch.bincount(which[near], minlength=SIDE**2)
    least = FEWEST * len(samples) / SAMPLES
    return int((counts >= least).sum()), float(near.double().mean())


def occupied(samples: Tensor) -> int:
    """In how many of the 25 cells around the Gaussians `samples` (n, 2) lie: those that are the
    nearest of a fifth of the samples that are due to them, however far.

    So a generator that is spread but blurred is told from one that has collapsed. Samples that are
    not finite lie in none.
    """
    finite = samples[samples.isfinite().all(dim=1)]
    which = torch.cdist(finite, centres()).argmin(dim=1)
    counts = torch.bincount(which, minlength=SIDE**2)
    return int((counts >= FEWEST * len(samples) / SAMPLES).sum())


def grid_of_gaussians(
    setting: Setting, steps: int, rates: Sequence[float], seed: int
) -> dict[str, float]:
    """Trains at the rate of `rates` that covers most modes, by a draw of its own, and measures.

    The grid grows where its best rate lies at the edge; a single rate is that one.

    `modes`, `near`: coverage in eval mode; `cells`: `occupied` by the same samples. `batch_modes`:
    in train mode, batches of the training's size. `log_oscillation`: logarithm of the standard
    deviation of the discriminator's loss on fixed points along the second half. `rate`: what was
    chosen, and `log_rate` its logarithm.
    """

    def attempt(rate: float) -> tuple[float, Trained]:
        trained = train(setting, rate, steps, seed)
        modes, near = coverage(generated(trained, seed=2 * seed))
        return modes + near / 2, trained

    found = best_rate(attempt, rates, extend=len(rates) > 1)
    trained: Trained = found.kept
    samples = generated(trained, seed=2 * seed + 1)
    modes, near = coverage(samples)
    in_batches = coverage(generated(trained, seed=2 * seed + 1, as_in_training=True))[0]
    spread = float(trained.losses.std()) if len(trained.losses) > 1 else 0.0
    return {
        "modes": float(modes),
        "near": near,
        "cells": float(occupied(samples)),
        "batch_modes": float(in_batches),
        "log_oscillation": math.log(max(spread, 1e-6)),
        "rate": found.rate,
        "log_rate": math.log(found.rate),
    }
