"""A discriminator with BatchNorm trains better if real and generated samples are batches apart.

Said by: practitioners' threads: ganhacks 52 asks why real and generated samples should not share a
batch, and DCGAN-tensorflow 266 whether they may share BatchNorm's variables.
Primary source: none. The advice is ganhacks' fourth, "construct different mini-batches for real and
fake"; DCGAN (Radford et al. 2016) has it in its code, and its paper does not speak of it.
Measured: networks of three hidden layers of 64 on a grid of 25 Gaussians, batch 64, BatchNorm in
the discriminator: how many Gaussians 2,500 samples of the generator cover (not compared where
neither way has learnt), how many of the cells around them are occupied, sharp or not, and the share
of samples near one. Real and generated samples go through the discriminator in two batches, or in
one of both, in each step of either network. Each seed of each arm has the rate that covers most.
LayerNorm, where nothing can differ but rounding, is the control. Pilot: that of gan-bn-collapse.
Cost: normlab run gan-split-batches --profile full    64 trials to its first look, 48 minutes of one
core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.looks import Looks
from normlab.claims.metrics import percent
from normlab.claims.protocols.floors import where_one_reaches
from normlab.claims.quantity import Quantity, difference
from normlab.claims.rules import AtLeast, Within

MODES, SHARE = 2.0, 5.0  # of 25; points of the samples
RATES = (0.0007, 0.002, 0.006)
# Name -> norms of the generator and of the discriminator, batch.
CASES = {
    "BN in D": ("none", "batchnorm", 64),
    "BN in both": ("batchnorm", "batchnorm", 64),
    "BN in D, batch 16": ("none", "batchnorm", 16),
    "LN in D": ("none", "layernorm", 64),
}


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Modes covered and share of samples near one."""
    from normlab.measure.gan import Setting, grid_of_gaussians

    generator, discriminator, batch = CASES[options["case"]]
    setting = Setting(generator, discriminator, batch, options["mixed"])
    return grid_of_gaussians(setting, options["steps"], options["rates"], seed)


def apart(case: str, metric: str, words: str) -> Quantity:
    """Batches apart - mixed, in modes."""
    return difference(
        f"{case}, apart",
        f"{case}, mixed",
        metric,
        words=f"{words}, {case}: batches apart - mixed",
        unit="modes",
    )


def modes(case: str) -> Quantity:
    covered = apart(case, "modes", "modes covered, if one way lies near modes")
    missing = "of neither a quarter of the samples lie near a mode: too little is learnt to tell"
    # A collapsed generator is near a mode, one that has learnt nothing in 13 % of samples.
    return where_one_reaches(covered, "near", 0.25, missing)


def at_least(name: str, case: str, where: str) -> Part:
    return Part(
        name,
        f"{where}, separate batches cover at least 2 of 25 modes more than mixed ones",
        modes(case),
        AtLeast(MODES),
    )


NUMBERS = (
    "separate batches of real and generated samples cover {modes.effect:+.1f} of 25 modes "
    "({modes.low:+.1f} to {modes.high:+.1f}) against mixed ones, with {near.effect:+.0f} points of "
    "the samples near one, and occupy {cells.effect:+.1f} of the cells around them, sharp or not; "
    "with it in the generator, too, they cover {both.effect:+.1f} modes"
)

CLAIM = Claim(
    slug="gan-split-batches",
    statement="A discriminator with BatchNorm trains better if real and generated samples are "
    "batches apart.",
    documents=("Practitioners' threads",),
    source="None: advice without a measurement (ganhacks, its fourth; the code of DCGAN).",
    prediction="supported: apart, a whole batch of generated samples is judged by itself, which "
    "shows a collapse",
    arms=tuple(
        Arm(f"{case}, {way}", options={"case": case, "mixed": way == "mixed"})
        for case in CASES
        for way in ("apart", "mixed")
    ),
    protocols={
        "smoke": Protocol(
            options={"steps": 4, "rates": (0.002,)}, looks=Looks((1,)), seconds_per_trial=0.3
        ),
        "quick": Protocol(
            options={"steps": 800, "rates": RATES}, looks=Looks((8, 12, 20)), seconds_per_trial=9.0
        ),
        "full": Protocol(
            options={"steps": 4000, "rates": RATES},
            looks=Looks((8, 12, 20)),
            timeout_s=1050.0,
            seconds_per_trial=45.0,
        ),
    },
    trial=trial,
    clauses=(
        Part(
            "modes",
            "with BatchNorm in the discriminator separate batches cover at least 2 of 25 modes "
            "more than mixed ones",
            modes("BN in D"),
            AtLeast(MODES),
            expected=6.0,
            noise=4.0,
        ),
    ),
    scope=(
        Part(
            "cells",
            "and occupy at least 2 of the 25 cells around the modes more, sharp or not",
            apart("BN in D", "cells", "cells occupied"),
            AtLeast(MODES),
        ),
        Part(
            "near",
            "and at least 5 points of the samples more lie near a mode",
            difference(
                "BN in D, apart",
                "BN in D, mixed",
                "near",
                words="share of samples near a mode, BN in D: batches apart - mixed",
                scale=100.0,
                unit="points",
            ),
            AtLeast(SHARE),
        ),
        at_least("both", "BN in both", "with BatchNorm in the generator, too"),
        at_least("batch of 16", "BN in D, batch 16", "in batches of 16"),
        Part(
            "control",
            "with LayerNorm in the discriminator both cover as many modes, within 2",
            modes("LN in D"),
            Within(MODES),
        ),
    ),
    answers=Answers(
        supported="With BatchNorm in the discriminator " + NUMBERS + ".",
        refuted="Not by 2 modes: with BatchNorm in the discriminator " + NUMBERS + ".",
        inconclusive="With BatchNorm in the discriminator " + NUMBERS + ": whether 2 modes are won "
        "is open.",
    ),
    caveats=(
        "25 Gaussians in two dimensions and small networks of fully connected layers: images may "
        "differ.",
        "In the generator's step, too, a mixed batch has real samples in it: with generated ones "
        "alone the discriminator would have other statistics than it was trained with.",
        "A mixed batch has statistics of twice as many samples.",
        "A training of 4,000 steps covers a part of the modes, whichever way.",
    ),
    would_change="A discriminator in eval mode, or with statistics of a fixed reference batch, for "
    "which there is no company.",
    metrics={
        "modes": "modes that samples cover, of 25",
        "cells": "cells around the modes that samples occupy, sharp or not, of 25",
        "near": percent("samples near a mode"),
    },
)
