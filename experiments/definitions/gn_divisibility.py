"""GroupNorm's number of groups must divide the number of channels.

Said by: "Differences between Batch, Layer, Group and Instance Norm".
Primary source: torch.nn.GroupNorm's documentation: num_channels must be divisible by num_groups.
Measured: torch's layer and function, and NormLab's layer, are given 200 pairs of 1 to 64 channels
and groups a draw. A pair is wrong if it does not divide and is taken. The other side, a pair that
divides and is refused, is scope.
Cost: normlab run gn-divisibility --profile full    60 trials, a second of one core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import value
from normlab.claims.rules import Exact

PAIRS = 200
CALLS = {"layer": "torch.nn.GroupNorm", "function": "torch's function", "own": "NormLab's layer"}


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Pairs of channels and groups that are taken though they do not divide, or refused though they
    do."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    from normlab.norms import make_norm

    generator = torch.Generator().manual_seed(seed)

    def call(channels: int, groups: int) -> None:
        # Two positions: of a single value nothing can be normalized, which is another error.
        x = torch.ones(1, channels, 2, 1)
        if options["call"] == "layer":
            nn.GroupNorm(groups, channels)(x)
        elif options["call"] == "function":
            F.group_norm(x, groups)
        else:
            make_norm("groupnorm", channels, num_groups=groups)(x)

    taken = refused = 0
    for _ in range(PAIRS):
        channels, groups = torch.randint(1, 65, (2,), generator=generator).tolist()
        divides = channels % groups == 0
        try:
            call(channels, groups)
            taken += not divides
        except (ValueError, RuntimeError):
            refused += divides
    return {"taken": taken, "refused": refused}


def part(name: str, call: str, metric: str, statement: str, which: str) -> Part:
    words = f"of 200 pairs of channels and groups, those that {which}, by draw"
    return Part(name, statement, value(call, metric, words=words, unit="pairs"), Exact(0))


CLAIM = Claim(
    slug="gn-divisibility",
    statement="GroupNorm's number of groups must divide the number of channels.",
    documents=("Differences between Batch, Layer, Group and Instance Norm",),
    source="torch.nn.GroupNorm: 'num_channels must be divisible by num_groups'.",
    prediction="supported",
    arms=tuple(Arm(name, options={"call": name}) for name in CALLS),
    protocols=direct_protocols(20, 0.02),
    trial=trial,
    clauses=(
        part(
            "layer",
            "layer",
            "taken",
            "torch.nn.GroupNorm refuses groups that do not divide the channels",
            "do not divide and are taken",
        ),
    ),
    scope=(
        *(
            part(
                name,
                name,
                "taken",
                f"{CALLS[name]} refuses them, too",
                "do not divide and are taken",
            )
            for name in ("function", "own")
        ),
        *(
            part(
                f"{name}, dividing",
                name,
                "refused",
                f"{who} takes all that divide",
                "divide and are refused",
            )
            for name, who in CALLS.items()
        ),
    ),
    answers=Answers(
        supported="Groups must divide the channels: torch.nn.GroupNorm takes "
        "{layer.effect:.0f} of the pairs that do not divide, and refuses "
        "{layer, dividing.effect:.0f} that do.",
        refuted="Groups need not divide the channels: torch.nn.GroupNorm takes up to "
        "{layer.effect:.0f} of 200 pairs that do not divide.",
    ),
    caveats=("A rule of the libraries: the formula itself could do with groups of unequal size.",),
    would_change="A library that takes groups of unequal size.",
    first_seed=0,
    metrics={
        "taken": "pairs that do not divide and are taken, of 200",
        "refused": "pairs that divide and are refused, of 200",
    },
)
