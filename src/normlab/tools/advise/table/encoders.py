"""Verdicts on norms in encoders of documents."""

from normlab.tools.advise import judges
from normlab.tools.advise.conditions import BN, LN, documents
from normlab.tools.advise.entry import Entry
from normlab.tools.advise.situation import MANY

ENCODERS = (
    # Documents of unequal lengths, padded or each by itself.
    *(
        Entry(
            slug="padding-dominant-reason",
            part=f"{treatment}, {count}",
            when=documents(low, high, padded=True),
            judge=judges.by_margin,
            favours=(LN,),
            against=(BN,),
            says=(
                f"with padding {words}, BatchNorm over {count} documents loses {{effect}} to "
                "LayerNorm, mainly by it"
            ),
            opposite=(
                f"with padding {words}, BatchNorm over {count} documents is better than "
                "LayerNorm: {effect}"
            ),
        )
        for treatment, words, count, low, high in (
            ("counted", "that the norms count", 4, 1, 16),
            ("counted", "that the norms count", 32, 17, MANY),
            ("zeroed", "set to zero", 4, 1, 16),
            ("zeroed", "set to zero", 32, 17, MANY),
        )
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
    *(
        Entry(
            slug="ln-beats-bn-transformer",
            part=f"encoder, {count}",
            when=documents(low, high),
            judge=judges.by_margin,
            favours=(LN,),
            against=(BN,),
            says=(
                "in an encoder LayerNorm's loss is {effect} below BatchNorm's over "
                f"{count} documents"
            ),
            opposite=(
                f"in an encoder BatchNorm's loss over {count} documents is below LayerNorm's: "
                "{effect}"
            ),
        )
        for count, low, high in ((4, 2, 16), (32, 17, MANY))
    ),
)
