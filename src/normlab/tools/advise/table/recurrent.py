"""Verdicts on norms of the states of recurrent networks."""

from normlab.tools.advise import judges
from normlab.tools.advise.conditions import BN, GN, LN, NONE, ample, recurrent
from normlab.tools.advise.entry import Entry

RECURRENT = (
    Entry(
        slug="bn-rnn-ineffective",
        part="naive",
        when=recurrent,
        judge=judges.by_margin,
        favours=(NONE,),
        against=(BN,),
        says=(
            "BatchNorm with statistics shared by all time steps costs {effect} a character "
            "against no norm"
        ),
        opposite=(
            "BatchNorm with statistics shared by all time steps is better than no norm: "
            "{effect} a character"
        ),
        given=ample,
        lacks="measured over 32 samples only",
    ),
    Entry(
        slug="bn-rnn-ineffective",
        part="layernorm",
        when=recurrent,
        judge=judges.by_margin,
        favours=(LN,),
        against=(BN,),
        says="LayerNorm is {effect} a character better than BatchNorm with shared statistics",
        opposite="LayerNorm is worse than BatchNorm with shared statistics: {effect} a character",
        given=ample,
        lacks="measured over 32 samples only",
    ),
    Entry(
        slug="bn-rnn-ineffective",
        part="groupnorm",
        when=recurrent,
        judge=judges.by_margin,
        favours=(GN,),
        against=(BN,),
        says="GroupNorm is {effect} a character better than BatchNorm with shared statistics",
        opposite="GroupNorm is worse than BatchNorm with shared statistics: {effect} a character",
        given=ample,
        lacks="measured over 32 samples only",
    ),
)
