"""Padding changes what InstanceNorm and GroupNorm make of the real positions; LayerNorm sees none.

Said by: practitioners: pytorch issue 81985 (open since July 2022), which asks for a mask.
Primary source: Ulyanov et al. 2016 and Wu & He 2018: statistics of a sample over all positions,
those of padding included. Ba et al. 2016 on sequences: of each position by itself.
Measured: torch's layers on sequences of 32 channels and 16 to 48 real positions, each alone and
with zeros behind it. The change is the root mean square over real positions, relative to that of
the output without padding. Half of the sequence is padding in the clauses.
Cost: normlab run masked-in-gn --profile full    60 trials, a second of one core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.figure import Sweep
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import largest, value
from normlab.claims.rules import AtLeast, Exact

SHARES = (10, 50, 90)  # % of the padded sequence
ARMS = tuple(f"{share} %" for share in SHARES)
LEAST = 0.01  # of the output: the size of a change that 16-bit numbers still show


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Relative change of each layer's outputs at real positions by zeros behind them."""
    import torch
    from torch import Tensor, nn

    generator = torch.Generator().manual_seed(seed)
    channels, real = 32, int(torch.randint(16, 49, (1,), generator=generator))
    padded = round(real / (1 - options["share"] / 100))
    # Channels of different means and deviations, as inside of a network.
    mean = torch.randn(channels, 1, generator=generator)
    deviation = torch.empty(channels, 1).uniform_(0.3, 3, generator=generator)
    x = mean + deviation * torch.randn(1, channels, real, generator=generator)  # (1, C, T)
    with_zeros = nn.functional.pad(x, (0, padded - real))

    def change(layer: nn.Module, positions_last: bool = True) -> float:
        def outputs(x: Tensor) -> Tensor:
            if positions_last:
                return layer(x)[..., :real]  # type: ignore[no-any-return]
            return layer(x.mT)[:, :real]  # type: ignore[no-any-return]

        with torch.no_grad():
            alone = outputs(x)
            distance = outputs(with_zeros) - alone
        return float(distance.square().mean().sqrt() / alone.square().mean().sqrt())

    batch_norm = nn.BatchNorm1d(channels)
    batch_norm(x)  # in train mode once: its running statistics are then other than 0 and 1
    return {
        "instancenorm": change(nn.InstanceNorm1d(channels)),
        "groupnorm": change(nn.GroupNorm(8, channels)),
        "layernorm": change(nn.LayerNorm(channels), positions_last=False),
        "rmsnorm": change(nn.RMSNorm(channels), positions_last=False),
        "batchnorm_eval": change(batch_norm.eval()),
    }


def changed(name: str, arm: str, kind: str, statement: str) -> Part:
    words = f"change of the outputs of {kind} at real positions, padding {arm} of the sequence"
    return Part(
        name, statement, value(arm, kind, words=words, unit="of the output"), AtLeast(LEAST)
    )


def unchanged(name: str, kind: str, statement: str) -> Part:
    words = f"largest change of the outputs of {kind} at real positions, over all lengths"
    return Part(name, statement, largest(ARMS, kind, words=words), Exact(1e-6))


CLAIM = Claim(
    slug="masked-in-gn",
    statement="Padding changes what InstanceNorm and GroupNorm make of the real positions of a "
    "sequence, and LayerNorm sees none of it.",
    documents=("Practitioners' threads",),
    source="pytorch issue 81985, open since July 2022: means and variances 'take the padded "
    "dummies altogether'.",
    prediction="supported: both have statistics over positions",
    arms=tuple(
        Arm(
            f"{share} %",
            options={"share": share},
            at={"padding_share": share, "norm": "instancenorm"},
        )
        for share in SHARES
    ),
    protocols=direct_protocols(20, 0.02),
    trial=trial,
    clauses=(
        changed(
            "instancenorm",
            "50 %",
            "instancenorm",
            "half of padding changes InstanceNorm's outputs of the rest by 1 % or more",
        ),
        changed(
            "groupnorm",
            "50 %",
            "groupnorm",
            "half of padding changes GroupNorm's outputs of the rest by 1 % or more",
        ),
        unchanged("layernorm", "layernorm", "no share of padding changes those of LayerNorm"),
    ),
    scope=(
        changed(
            "a tenth, instancenorm",
            "10 %",
            "instancenorm",
            "a tenth of padding changes InstanceNorm's outputs by 1 % or more",
        ),
        changed(
            "a tenth, groupnorm",
            "10 %",
            "groupnorm",
            "a tenth of padding changes GroupNorm's outputs by 1 % or more",
        ),
        unchanged("rmsnorm", "rmsnorm", "no share of padding changes those of RMSNorm"),
        unchanged(
            "batchnorm",
            "batchnorm_eval",
            "nor those of BatchNorm in eval mode, whose statistics are fixed",
        ),
    ),
    answers=Answers(
        supported="Padding is seen by norms over positions: half of it changes InstanceNorm's "
        "outputs of the real positions by {instancenorm.effect:.0%} and GroupNorm's by "
        "{groupnorm.effect:.0%}, a tenth by {a tenth, instancenorm.effect:.0%} and "
        "{a tenth, groupnorm.effect:.0%}; LayerNorm's by {layernorm.effect:.0e} at most.",
        refuted="Padding matters otherwise than claimed: half of it changes InstanceNorm's "
        "outputs of the real positions by {instancenorm.effect:.2%}, GroupNorm's by "
        "{groupnorm.effect:.2%}, and any share LayerNorm's by up to {layernorm.effect:.0e}.",
        inconclusive="Half of padding changes InstanceNorm's outputs of the real positions by "
        "{instancenorm.effect:.2%} and GroupNorm's by {groupnorm.effect:.2%}: whether both by "
        "1 % is open.",
    ),
    caveats=(
        "What a layer by itself does. In a network convolutions also carry padding into real "
        "positions, whatever the norm.",
        "Padding is zero, as where it is put in again before the norm; other values change more "
        "or less.",
        "A sample that is padded to the longest of its batch depends on its batch mates by this "
        "way, although its norm has statistics of its own.",
    ),
    would_change="A layer that takes lengths or a mask, as torch's do not.",
    figure=Sweep(
        x="padding_share",
        x_label="% of padding",
        metric="instancenorm",
    ),
    first_seed=0,
    metrics={
        name: f"change of the outputs of {words} by padding, relative"
        for name, words in (
            ("instancenorm", "InstanceNorm"),
            ("groupnorm", "GroupNorm"),
            ("layernorm", "LayerNorm"),
            ("rmsnorm", "RMSNorm"),
            ("batchnorm_eval", "BatchNorm in eval mode"),
        )
    },
)
