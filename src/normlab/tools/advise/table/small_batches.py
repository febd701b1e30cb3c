"""Verdicts on norms over small batches."""

from normlab.tools.advise import judges
from normlab.tools.advise.conditions import BN, GN, IN, LN, RMS, image_batches, small_batches
from normlab.tools.advise.entry import Entry

SMALL_BATCHES = (
    # How much BatchNorm loses at which number of samples.
    Entry(
        slug="bn-batch-below-16",
        part="two",
        when=image_batches(1, 2),
        judge=judges.by_margin,
        against=(BN,),
        says="with 2 samples a statistic instead of 64 BatchNorm loses {effect} of accuracy",
        neither="2 samples a statistic instead of 64 cost BatchNorm {effect} of accuracy",
    ),
    Entry(
        slug="bn-batch-below-16",
        part="knee",
        when=image_batches(3, 8),
        judge=judges.by_margin,
        against=(BN,),
        says="with 8 samples a statistic instead of 64 BatchNorm loses {effect} of accuracy",
        neither="8 samples a statistic instead of 64 cost BatchNorm {effect} of accuracy",
    ),
    Entry(
        slug="bn-batch-below-16",
        part="above",
        when=image_batches(9, 16),
        judge=judges.by_equivalence,
        against=(BN,),
        says="with 16 samples a statistic instead of 64 BatchNorm loses {effect} of accuracy",
        neither=(
            "16 samples a statistic are as good as 64 for BatchNorm: {effect} of accuracy "
            "between them"
        ),
    ),
    # Against norms of single samples.
    Entry(
        slug="bn-batch1-fails",
        part="evaluation",
        when=image_batches(1, 1),
        judge=judges.by_margin,
        favours=(GN,),
        against=(BN,),
        says="trained over single samples, BatchNorm is {effect} below GroupNorm at evaluation",
        opposite=(
            "trained over single samples, BatchNorm is above GroupNorm at evaluation: {effect}"
        ),
    ),
    Entry(
        slug="gn-ln-fix-small-batch",
        part="interaction",
        when=image_batches(1, 2),
        judge=judges.by_margin,
        favours=(GN,),
        against=(BN,),
        says="going from batches of 32 to 2 costs BatchNorm {effect} more than GroupNorm",
        opposite="going from batches of 32 to 2 costs GroupNorm more than BatchNorm: {effect}",
    ),
    Entry(
        slug="gn-ln-fix-small-batch",
        part="groupnorm",
        when=image_batches(1, 2),
        judge=judges.by_margin,
        favours=(GN,),
        against=(BN,),
        says="at an SGD batch of 2 GroupNorm is {effect} above BatchNorm",
        opposite="at an SGD batch of 2 GroupNorm is below BatchNorm: {effect}",
    ),
    Entry(
        slug="gn-ln-fix-small-batch",
        part="layernorm",
        when=image_batches(1, 2),
        judge=judges.by_margin,
        favours=(LN,),
        against=(BN,),
        says="at an SGD batch of 2 LayerNorm is {effect} above BatchNorm",
        opposite="at an SGD batch of 2 LayerNorm is below BatchNorm: {effect}",
    ),
    # What a batch means to other norms, and what accumulating gradients does not mend.
    *(
        Entry(
            slug="ln-batch-independent",
            part=kind,
            when=small_batches(kind),
            judge=judges.by_identity,
            favours=(kind,),
            says="a sample's output is the same whatever its batch: {effect}",
            opposite="a sample's output depends on its batch: {effect}",
        )
        for kind in (LN, GN, IN, RMS)
    ),
    Entry(
        slug="gradaccum-fixes-bn",
        part="gradient",
        when=lambda s: s.batch <= 8,
        judge=judges.by_identity,
        says=(
            "accumulating over small batches gives BatchNorm the gradient of the whole "
            "batch: {effect}"
        ),
        opposite=(
            "accumulating over small batches does not give BatchNorm the gradient of the "
            "whole batch: {effect}"
        ),
    ),
)
