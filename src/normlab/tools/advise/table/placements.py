"""Verdicts on where norms stand in a transformer."""

from normlab.tools.advise import judges
from normlab.tools.advise.conditions import no_warmup, transformer, warmed_up
from normlab.tools.advise.entry import Entry
from normlab.tools.advise.situation import MANY

PLACEMENT_ENTRIES = (
    # Norms after the sum.
    Entry(
        slug="postln-12-layers-warmup",
        part="18 layers, no warm-up",
        when=lambda s: transformer(s) and (not s.warmup),
        judge=judges.too_deep(18),
        against=("post",),
        says="without warm-up Post-LN of 18 layers trains in a share of {effect}",
        on="placements",
    ),
    Entry(
        slug="postln-12-layers-warmup",
        part="18 layers, warm-up",
        when=lambda s: transformer(s) and s.depth >= 6,
        judge=judges.as_said,
        neither="with warm-up Post-LN of 18 layers trains in a share of {effect}",
        on="placements",
    ),
    *(
        Entry(
            slug="postln-warmup-ok",
            part=f"{depth} layers",
            when=warmed_up(low, high),
            judge=judges.no_worse,
            favours=("pre",),
            against=("post",),
            says=(
                f"with warm-up, {depth} layers of Post-LN have the perplexity of Pre-LN {{effect}}"
            ),
            opposite=(
                f"with warm-up, {depth} layers of Post-LN have less perplexity than Pre-LN: "
                "{effect}"
            ),
            neither=(
                f"with warm-up, {depth} layers of Post-LN are no worse than Pre-LN: its "
                "perplexity {effect}"
            ),
            on="placements",
        )
        # Depths were measured at 6, 12 and 24 layers: 9 and 18 lie in the middle between them.
        for depth, low, high in ((12, 9, 17), (24, 18, MANY))
    ),
    # Norms before the branch, and what else goes deep without warm-up.
    Entry(
        slug="preln-24-no-warmup",
        part="Post-LN",
        when=lambda s: transformer(s) and (not s.warmup) and (s.depth >= 18),
        judge=judges.by_margin,
        favours=("pre",),
        against=("post",),
        says="without warm-up, 24 layers of Post-LN leave {effect} that Pre-LN closes",
        on="placements",
    ),
    Entry(
        slug="preln-24-no-warmup",
        part="Pre-LN",
        when=lambda s: transformer(s) and (not s.warmup) and (s.depth >= 18),
        judge=judges.by_identity,
        favours=("pre",),
        says="without warm-up, 24 layers of Pre-LN have the perplexity of those with it {effect}",
        opposite="without warm-up, 24 layers of Pre-LN have more perplexity than with it: {effect}",
        on="placements",
    ),
    Entry(
        slug="deepnet-1000",
        part="DeepNorm",
        when=lambda s: transformer(s) and (not s.warmup) and (s.depth >= 24),
        judge=judges.no_worse,
        favours=("pre",),
        against=("deepnorm",),
        says="without warm-up, 48 layers of DeepNorm have the perplexity of Pre-LN {effect}",
        opposite=(
            "without warm-up, 48 layers of DeepNorm have less perplexity than Pre-LN: {effect}"
        ),
        neither=(
            "without warm-up, 48 layers of DeepNorm are no worse than Pre-LN: its perplexity "
            "{effect}"
        ),
        on="placements",
    ),
    Entry(
        slug="peri-ln-steadier",
        part="learning rate",
        when=transformer,
        judge=judges.by_margin,
        favours=("sandwich",),
        against=("pre",),
        says=(
            "without warm-up, too large a learning rate costs 12 layers of Pre-LN {effect} "
            "more than norms before and after each branch"
        ),
        opposite=(
            "without warm-up, too large a learning rate costs 12 layers with norms before "
            "and after each branch more than Pre-LN: {effect}"
        ),
        on="placements",
        given=no_warmup,
        lacks="measured without warm-up only",
    ),
    # Options beside the norms.
    *(
        Entry(
            slug="layernorm-scaling-depth",
            part=init,
            when=lambda s: transformer(s) and s.depth >= 9,
            judge=judges.by_margin,
            says=(
                "model.layer_scaling=true lowers the loss of 12 layers by {effect}, with the "
                f"initial scale of {init}"
            ),
            neither=(
                "model.layer_scaling=true changes the loss of 12 layers by {effect}, with the "
                f"initial scale of {init}"
            ),
            on="placements",
            given=lambda s: s.warmup,
            lacks="measured with warm-up only",
        )
        for init in ("xavier", "gpt2")
    ),
    Entry(
        slug="qknorm-high-lr",
        part="sensitivity",
        when=transformer,
        judge=judges.by_margin,
        says=(
            "without warm-up, model.qk_norm=true makes rates above the best one cost 6 layers "
            "{effect} less"
        ),
        neither=(
            "without warm-up, model.qk_norm=true changes what rates above the best one cost 6 "
            "layers by {effect}"
        ),
        on="placements",
        given=no_warmup,
        lacks="measured without warm-up only",
    ),
)
