"""Verdicts on norms in causal models."""

from normlab.tools.advise import judges
from normlab.tools.advise.conditions import BN, LN, RMS, causal
from normlab.tools.advise.entry import Entry

CAUSAL_MODELS = (
    # The loss that each norm reaches.
    Entry(
        slug="ln-beats-bn-transformer",
        part="causal, 4",
        when=lambda s: s.input == "causal" and 1 < s.batch <= 16,
        judge=judges.by_margin,
        favours=(LN,),
        against=(BN,),
        says="LayerNorm's loss is {effect} below BatchNorm's over 4 samples",
        opposite="BatchNorm's loss over 4 samples is below LayerNorm's: {effect}",
    ),
    Entry(
        slug="ln-beats-bn-transformer",
        part="causal, 32",
        when=lambda s: s.input == "causal" and s.batch > 16,
        judge=judges.by_margin,
        favours=(LN,),
        against=(BN,),
        says="LayerNorm's loss is {effect} below BatchNorm's over 32 samples",
        opposite="BatchNorm's loss over 32 samples is below LayerNorm's: {effect}",
        neither=(
            "LayerNorm's loss and that of BatchNorm over 32 samples: no difference of 0.03 "
            "nats, {effect}"
        ),
    ),
    Entry(
        slug="ln-beats-bn-transformer",
        part="prefix",
        when=causal,
        judge=judges.by_margin,
        favours=(LN,),
        against=("causal_batchnorm",),
        says="LayerNorm's loss is {effect} below that of BatchNorm over the prefix",
        opposite="the loss of BatchNorm over the prefix is below LayerNorm's: {effect}",
        neither=(
            "LayerNorm's loss and that of BatchNorm over the prefix: no difference of 0.03 "
            "nats, {effect}"
        ),
    ),
    # What a norm over positions shows of the future.
    Entry(
        slug="bn-causal-leak",
        part="text",
        when=lambda s: s.input == "causal" and s.batch < 32,
        judge=judges.by_margin,
        against=(BN,),
        says=(
            "over single samples BatchNorm shows the training loss the future, and loses at "
            "evaluation: {effect}"
        ),
        neither="over single samples BatchNorm shows the training loss no future: {effect}",
        given=lambda s: s.batch == 1,
        lacks="measured over single samples only",
    ),
    Entry(
        slug="bn-causal-leak",
        part="layernorm",
        when=causal,
        judge=judges.by_identity,
        favours=(LN,),
        says="LayerNorm shows the training loss no future: {effect}",
        opposite="LayerNorm shows the training loss the future: {effect}",
    ),
    Entry(
        slug="bn-causal-leak",
        part="prefix, SGD batch 2",
        when=causal,
        judge=judges.by_identity,
        favours=("causal_batchnorm",),
        says="BatchNorm over the prefix shows the training loss no future: {effect}",
        opposite="BatchNorm over the prefix shows the training loss the future: {effect}",
        given=lambda s: s.batch >= 2,
        lacks="measured over 2 samples only",
    ),
    Entry(
        slug="bn-causal-leak",
        part="batchnorm 32",
        when=lambda s: s.input == "causal" and s.batch >= 32,
        judge=judges.by_identity,
        says=(
            "over 32 samples nothing is left of BatchNorm's leak, in sequences of uniform "
            "tokens: {effect}"
        ),
        opposite="over 32 samples BatchNorm still leaks, in sequences of uniform tokens: {effect}",
    ),
    # What is proposed in place of LayerNorm.
    Entry(
        slug="rmsnorm-equal-loss",
        part="loss",
        when=causal,
        judge=judges.by_equivalence,
        favours=(LN,),
        against=(RMS,),
        says="RMSNorm's loss is {effect} above LayerNorm's",
        opposite="RMSNorm's loss is below LayerNorm's: {effect}",
        neither="RMSNorm and LayerNorm reach the same loss: {effect} between them",
    ),
    Entry(
        slug="dyt-matches-ln",
        part="matches",
        when=causal,
        judge=judges.by_equivalence,
        favours=(LN,),
        against=("dyt",),
        says="DyT's loss is {effect} above LayerNorm's",
        opposite="DyT's loss is below LayerNorm's: {effect}",
        neither="DyT and LayerNorm reach the same loss: {effect} between them",
    ),
)
