"""Verdicts on norms in encoders of documents."""

from normlab.tools.advise import judges
from normlab.tools.advise.conditions import BN, LN
from normlab.tools.advise.entry import Entry

ENCODERS = (
    # Documents of unequal lengths, padded or each by itself.
    Entry(
        slug="padding-dominant-reason",
        part="counted, 4",
        when=lambda s: s.input == "sequences" and s.varying and (s.batch <= 16),
        judge=judges.by_margin,
        favours=(LN,),
        against=(BN,),
        says=(
            "with padding that the norms count, BatchNorm over 4 documents loses {effect} to "
            "LayerNorm, mainly by it"
        ),
        opposite=(
            "with padding that the norms count, BatchNorm over 4 documents is better than "
            "LayerNorm: {effect}"
        ),
    ),
    Entry(
        slug="padding-dominant-reason",
        part="counted, 32",
        when=lambda s: s.input == "sequences" and s.varying and (s.batch > 16),
        judge=judges.by_margin,
        favours=(LN,),
        against=(BN,),
        says=(
            "with padding that the norms count, BatchNorm over 32 documents loses {effect} "
            "to LayerNorm, mainly by it"
        ),
        opposite=(
            "with padding that the norms count, BatchNorm over 32 documents is better than "
            "LayerNorm: {effect}"
        ),
    ),
    Entry(
        slug="padding-dominant-reason",
        part="zeroed, 4",
        when=lambda s: s.input == "sequences" and s.varying and (s.batch <= 16),
        judge=judges.by_margin,
        favours=(LN,),
        against=(BN,),
        says=(
            "with padding set to zero, BatchNorm over 4 documents loses {effect} to "
            "LayerNorm, mainly by it"
        ),
        opposite=(
            "with padding set to zero, BatchNorm over 4 documents is better than LayerNorm: "
            "{effect}"
        ),
    ),
    Entry(
        slug="padding-dominant-reason",
        part="zeroed, 32",
        when=lambda s: s.input == "sequences" and s.varying and (s.batch > 16),
        judge=judges.by_margin,
        favours=(LN,),
        against=(BN,),
        says=(
            "with padding set to zero, BatchNorm over 32 documents loses {effect} to "
            "LayerNorm, mainly by it"
        ),
        opposite=(
            "with padding set to zero, BatchNorm over 32 documents is better than LayerNorm: "
            "{effect}"
        ),
    ),
    Entry(
        slug="bn-breaks-distributed-varlen",
        part="varying lengths",
        when=lambda s: s.input == "sequences" and s.varying,
        judge=judges.by_margin,
        favours=(LN,),
        against=(BN,),
        says="on documents of their own lengths BatchNorm's loss is {effect} above LayerNorm's",
        opposite=(
            "on documents of their own lengths BatchNorm's loss is below LayerNorm's: {effect}"
        ),
    ),
    Entry(
        slug="bn-breaks-distributed-varlen",
        part="single samples",
        when=lambda s: s.input == "sequences" and s.batch == 1,
        judge=judges.by_margin,
        favours=(LN,),
        against=(BN,),
        says="over single documents BatchNorm's loss is {effect} above LayerNorm's",
        opposite="over single documents BatchNorm's loss is below LayerNorm's: {effect}",
    ),
    # The loss that each norm reaches.
    Entry(
        slug="ln-beats-bn-transformer",
        part="encoder, 4",
        when=lambda s: s.input == "sequences" and 1 < s.batch <= 16,
        judge=judges.by_margin,
        favours=(LN,),
        against=(BN,),
        says="in an encoder LayerNorm's loss is {effect} below BatchNorm's over 4 documents",
        opposite="in an encoder BatchNorm's loss over 4 documents is below LayerNorm's: {effect}",
    ),
    Entry(
        slug="ln-beats-bn-transformer",
        part="encoder, 32",
        when=lambda s: s.input == "sequences" and s.batch > 16,
        judge=judges.by_margin,
        favours=(LN,),
        against=(BN,),
        says="in an encoder LayerNorm's loss is {effect} below BatchNorm's over 32 documents",
        opposite="in an encoder BatchNorm's loss over 32 documents is below LayerNorm's: {effect}",
    ),
)
