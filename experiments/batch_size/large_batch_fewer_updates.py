"""A large global batch leaves few updates of the weights.

Said by: "How BN, IN and LN differ".
Primary source: none needed, it is counting: E epochs of n samples give E ceil(n / B) updates.
Measured: a data loader's batches are counted for random numbers of samples, batches of a worker and
workers, whose shares torch's DistributedSampler cuts. Counted against the formula with the global
batch, workers times batch; and whether twice the workers ever leave as many updates or more. In an
equal number of epochs: at an equal number of steps the batch changes the samples that are seen.
Cost: normlab run large-batch-fewer-updates --profile full    20 trials, a second of one core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import value
from normlab.claims.rules import Exact

SETTINGS = 10  # of samples, batch and workers, in each draw
EPOCHS = 3


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Largest distance of the count from the formula, and settings in which more workers do not
    leave fewer updates."""
    import math

    import torch
    from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

    generator = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    def updates(samples: int, batch: int, workers: int) -> int:
        dataset = TensorDataset(torch.arange(samples))
        share: DistributedSampler[Any] = DistributedSampler(
            dataset, num_replicas=workers, rank=0, seed=seed
        )
        loader = DataLoader(dataset, batch, sampler=share)
        return sum(1 for _ in range(EPOCHS) for _ in loader)

    distance = not_fewer = 0
    for _ in range(SETTINGS):
        # Twice the workers still have whole batches: else there is one update an epoch either way.
        batch, workers = draw(1, 33), 2 ** draw(0, 5)
        samples = draw(4 * batch * workers, 8 * batch * workers)
        few, many = (updates(samples, batch, count) for count in (2 * workers, workers))
        expected = EPOCHS * math.ceil(samples / (batch * workers))
        distance = max(distance, abs(many - expected))
        not_fewer += few >= many
    return {"distance": distance, "not_fewer": not_fewer}


CLAIM = Claim(
    slug="large-batch-fewer-updates",
    statement="A large global batch leaves few updates of the weights.",
    documents=("How BN, IN and LN differ",),
    source="None needed: an epoch has as many updates as batches.",
    prediction="supported, in an equal number of epochs",
    arms=(Arm("counted"),),
    protocols=direct_protocols(20, 0.05),
    trial=trial,
    clauses=(
        Part(
            "fewer",
            "twice the workers leave fewer updates in the same epochs",
            value(
                "counted",
                "not_fewer",
                words="of 10 settings, those in which twice the workers leave as many updates or "
                "more, by draw",
                unit="settings",
            ),
            Exact(0),
        ),
    ),
    scope=(
        Part(
            "formula",
            "the number is epochs times samples by global batch, rounded up",
            value(
                "counted",
                "distance",
                words="updates counted less that number, the largest of 10 settings, by draw",
                unit="updates",
            ),
            Exact(0),
        ),
    ),
    answers=Answers(
        supported="In the same number of epochs twice the workers leave fewer updates in each of "
        "200 settings that were counted: epochs times samples by global batch, rounded up, in all.",
        refuted="Not in each setting: of 10 up to {fewer.effect:.0f} have as many updates with "
        "twice the workers.",
    ),
    caveats=(
        "Counting says nothing of whether fewer updates learn less: with the rate raised in "
        "proportion they often do not (Goyal et al. 2017, up to 8,192 images).",
    ),
    would_change="Nothing: it is counting.",
    first_seed=0,
    metrics={
        "not_fewer": "settings where twice the workers leave no fewer updates, of 10",
        "distance": "updates counted less the formula, largest of 10 settings",
    },
)
