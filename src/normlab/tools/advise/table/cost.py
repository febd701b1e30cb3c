"""Verdicts on what norms cost."""

from normlab.tools.advise import judges
from normlab.tools.advise.conditions import BN, GN, LN, RMS, images, transformer
from normlab.tools.advise.entry import Entry

COST = (
    Entry(
        slug="rmsnorm-7-64-faster",
        part="model, torch.nn",
        when=transformer,
        judge=judges.by_time,
        favours=(RMS,),
        against=(LN,),
        says=(
            "a training step with RMSNorm takes {effect} that with LayerNorm, with "
            "torch.nn's layers"
        ),
        opposite=(
            "a training step with RMSNorm takes longer than with LayerNorm, with torch.nn's "
            "layers: {effect}"
        ),
        neither=(
            "a training step with RMSNorm takes {effect} that with LayerNorm, with "
            "torch.nn's layers"
        ),
    ),
    Entry(
        slug="gn-overhead",
        part="channels first",
        when=images,
        judge=judges.by_ratio,
        favours=(BN,),
        against=(GN,),
        says="a training step with GroupNorm takes {effect} that with BatchNorm",
        opposite="a training step with GroupNorm takes less than with BatchNorm: {effect}",
        neither="a training step with GroupNorm takes {effect} that with BatchNorm",
    ),
    Entry(
        slug="bn-ln-cost-comparable",
        part="permuted, float32, channels_first",
        when=images,
        judge=judges.no_worse,
        favours=(BN,),
        against=(LN,),
        says="LayerNorm as users write it takes {effect} BatchNorm's time",
        opposite="LayerNorm as users write it takes less than BatchNorm's time: {effect}",
        neither="LayerNorm as users write it takes {effect} BatchNorm's time",
    ),
)
