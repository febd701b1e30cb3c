"""How BatchNorm is set makes mode collapse worse or better, and small batches make a GAN oscillate.

Said by: "How BN, IN and LN differ": BatchNorm set one way or another can bring mode collapse about
or relieve it, and small batches let the training oscillate.
Primary source: both signs have one. Radford et al. 2016 (DCGAN, section 3): BatchNorm is critical
to get deep generators to learn, "preventing the generator from collapsing all samples to a single
point". Gulrajani et al. 2017 (WGAN-GP, section 4) leave it out of the critic.
Measured: networks of three hidden layers of 64 on a grid of 25 Gaussians: how many of them are
covered by 2,500 samples of the generator in eval mode (not compared where neither has learnt), how
many of the cells around them are occupied, sharp or not, and how the loss of the discriminator
varies on fixed points in the second half. Batches of 4, 16, 64 and 256; no norm, BatchNorm in one
network or both, LayerNorm in both, spectral norm in the discriminator. Each seed of each arm has
the rate that covers most. Two signs were written down before: a change counts either way. Pilot:
seed 1001, no norm, untuned, 3,000 steps at batch 64: 7 of 25.
Cost: normlab run gan-bn-collapse --profile full    240 trials, 3.0 hours of one core
"""

from itertools import product
from math import inf
from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.figure import Sweep
from normlab.claims.looks import Looks
from normlab.claims.metrics import logarithm, percent
from normlab.claims.protocols.contrasts import contrast, weighted
from normlab.claims.protocols.either_way import Changes
from normlab.claims.protocols.floors import where_one_reaches
from normlab.claims.quantity import Quantity, difference, metric_difference
from normlab.claims.rules import Between

BATCHES = (4, 16, 64, 256)
# Name -> norm of the generator, of the discriminator.
NORMS = {
    "none": ("none", "none"),
    "BN in G": ("batchnorm", "none"),
    "BN in D": ("none", "batchnorm"),
    "BN in both": ("batchnorm", "batchnorm"),
    "LN in both": ("layernorm", "layernorm"),
    "SN in D": ("none", "spectralnorm"),
}
MODES = 2.0  # of 25: a change of fewer decides nothing
TIMES = 1.5


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Modes covered, share of samples near one, and oscillation of the loss."""
    from normlab.measure.gan import Setting, grid_of_gaussians

    setting = Setting(options["generator"], options["discriminator"], options["batch"])
    return grid_of_gaussians(setting, options["steps"], options["rates"], seed)


def protocol(steps: int, seeds: int, seconds: float, rates: tuple[float, ...]) -> Protocol:
    return Protocol(
        options={"steps": steps, "rates": rates},
        looks=Looks((seeds,)),
        timeout_s=600 + 10 * seconds,
        seconds_per_trial=seconds,
    )


def arms() -> tuple[Arm, ...]:
    made = []
    for (name, (generator, discriminator)), batch in product(NORMS.items(), BATCHES):
        options = {"generator": generator, "discriminator": discriminator, "batch": batch}
        made.append(Arm(f"{name} {batch}", options=options, at={"norm": name, "batch_size": batch}))
    return tuple(made)


def changes(
    name: str, norm: str, batch: int, *, expected: float | None = None, noise: float | None = None
) -> Part:
    """Whether a norm changes how many modes are covered, either way."""
    return Part(
        name,
        f"at batch {batch}, {norm} changes how many of 25 modes are covered by more than 2, "
        "either way",
        where_one_reaches(
            difference(
                f"{norm} {batch}",
                f"none {batch}",
                "modes",
                words=f"modes covered at batch {batch}, {norm} - no norm, if one lies near modes",
                unit="modes",
            ),
            # A collapsed generator is near a mode, one that has learnt nothing in 13 % of samples.
            "near",
            0.25,
            "of neither a quarter of the samples lie near a mode: too little is learnt to tell",
        ),
        Changes(MODES),
        expected=expected,
        noise=noise,
    )


def oscillation(norm: str) -> Quantity:
    """Of the smallest batch over that of the largest."""
    return difference(
        f"{norm} 4",
        f"{norm} 256",
        "log_oscillation",
        words=f"standard deviation of the discriminator's loss, {norm}, batch 4 over batch 256",
        unit="times",
    )


NUMBERS = (
    "on a grid of 25 Gaussians at batch 64 it changes the modes covered by "
    "{discriminator.effect:+.1f} ({discriminator.low:+.1f} to {discriminator.high:+.1f}) in the "
    "discriminator, {generator.effect:+.1f} in the generator and {both.effect:+.1f} in both; with "
    "it in both the loss varies {oscillation.effect:.1f} times ({oscillation.low:.1f} to "
    "{oscillation.high:.1f}) as much at batch 4 as at 256, each at its own best rate, without a "
    "norm {oscillation without.effect:.1f} times; of cells around the modes, sharp or not, it "
    "changes those occupied by {cells.effect:+.1f} in the discriminator"
)

CLAIM = Claim(
    slug="gan-bn-collapse",
    statement="How BatchNorm is set makes the mode collapse of a GAN worse or better, and small "
    "batches make it oscillate.",
    documents=("How BN, IN and LN differ",),
    source="Both signs: DCGAN has BatchNorm against the collapse to one point, WGAN-GP leaves it "
    "out of the critic.",
    prediction="partly supported or inconclusive: seeds differ much; oscillation by the batch is "
    "the surer half",
    arms=arms(),
    protocols={
        "smoke": protocol(4, 1, 0.3, (0.002,)),
        "quick": protocol(800, 10, 9.0, (0.0007, 0.002, 0.006)),
        "full": protocol(4000, 10, 45.0, (0.0007, 0.002, 0.006)),
    },
    trial=trial,
    clauses=(
        changes("discriminator", "BN in D", 64, expected=6.0, noise=4.0),
        Part(
            "oscillation",
            "with BatchNorm in both networks the loss varies at least 1.5 times as much at batch "
            "4 as at 256",
            oscillation("BN in both"),
            Between(TIMES, inf),
            expected=2.5,
            noise=0.5,
        ),
    ),
    scope=(
        Part(
            "cells",
            "and how many of the 25 cells around the modes are occupied, sharp or not, by more "
            "than 2",
            difference(
                "BN in D 64",
                "none 64",
                "cells",
                words="cells occupied at batch 64, BN in D - no norm",
                unit="modes",
            ),
            Changes(MODES),
        ),
        changes("generator", "BN in G", 64),
        changes("both", "BN in both", 64),
        changes("layernorm", "LN in both", 64),
        changes("spectral norm", "SN in D", 64),
        *(changes(f"discriminator, {batch}", "BN in D", batch) for batch in (4, 16, 256)),
        *(changes(f"both, {batch}", "BN in both", batch) for batch in (4, 16, 256)),
        Part(
            "oscillation without",
            "without a norm, too, it varies at least 1.5 times as much",
            oscillation("none"),
            Between(TIMES, inf),
        ),
        Part(
            "oscillation more",
            "with BatchNorm that ratio is at least 1.5 times the one without a norm",
            contrast(
                weighted(
                    "log_oscillation",
                    {"BN in both 4": 1, "BN in both 256": -1, "none 4": -1, "none 256": 1},
                ),
                "oscillation at batch 4 over batch 256, BN in both over no norm",
                unit="times",
            ),
            Between(TIMES, inf),
        ),
        Part(
            "batches of samples",
            "at batch 4, BatchNorm in the generator covers other numbers of modes, by more than 2, "
            "in train mode than in eval mode",
            metric_difference(
                "BN in both 4",
                "batch_modes",
                "modes",
                words="modes covered at batch 4, BN in both: samples in train mode - in eval mode",
                unit="modes",
            ),
            Changes(MODES),
        ),
    ),
    answers=Answers(
        supported="BatchNorm matters to mode collapse, and small batches oscillate: "
        + NUMBERS
        + ".",
        refuted="Neither a change of 2 modes nor 1.5 times the oscillation: " + NUMBERS + ".",
        partly="One of both, a change of 2 modes or 1.5 times the oscillation: " + NUMBERS + ".",
        inconclusive="Not both are decided, a change of 2 modes and 1.5 times the oscillation: "
        + NUMBERS
        + ".",
    ),
    caveats=(
        "The documents leave the sign open: a change either way supports the clause, and the "
        "answer has its sign.",
        "25 Gaussians in two dimensions and small networks of fully connected layers; a training "
        "of 4,000 steps covers a part of the modes, whatever the norm.",
        "Equal steps at all batches, so that batch 256 sees 64 times the samples of batch 4.",
        "Oscillation is of the loss on fixed points, with statistics of all of them; the loss of "
        "a small batch varies by its draw alone.",
        "A lower rate at small batches hides how they would oscillate at that of large ones; a "
        "slow drift of the loss counts as oscillation.",
    ),
    would_change="Other losses and penalties, of which several cover all 25 modes without a norm.",
    figure=Sweep("batch_size", "samples in a batch", ("norm",), "modes"),
    metrics={
        "modes": "modes that samples in eval mode cover, of 25",
        "batch_modes": "modes that samples in train mode cover, of 25",
        "cells": "cells around the modes that samples occupy, sharp or not, of 25",
        "near": percent("samples near a mode"),
        "log_oscillation": logarithm("standard deviation of the discriminator's loss, nats"),
    },
)
