"""Verdicts on where norms stand in a transformer."""

from normlab.tools.advise import judges
from normlab.tools.advise.conditions import no_warmup, transformer
from normlab.tools.advise.entry import Entry

PLACEMENT_ENTRIES = (
    # Norms after the sum.
    Entry(
        slug="postln-12-layers-warmup",
        part="without warm-up",
        when=lambda s: transformer(s) and (not s.warmup),
        judge=judges.deeper_than_trains,
        against=("post",),
        says="without warm-up the deepest Post-LN that trains has {effect}",
        on="placements",
    ),
    Entry(
        slug="postln-12-layers-warmup",
        part="warm-up helps",
        when=lambda s: transformer(s) and s.depth >= 6,
        judge=judges.as_said,
        neither="warm-up changes the depth at which Post-LN trains by {effect}",
        on="placements",
    ),
    Entry(
        slug="postln-warmup-ok",
        part="12 layers",
        # Depths were measured at 6, 12 and 24 layers: 9 and 18 lie in the middle between them.
        when=lambda s: transformer(s) and s.warmup and (9 <= s.depth < 18),
        judge=judges.no_worse,
        favours=("pre",),
        against=("post",),
        says="with warm-up, 12 layers of Post-LN have the perplexity of Pre-LN {effect}",
        opposite="with warm-up, 12 layers of Post-LN have less perplexity than Pre-LN: {effect}",
        neither=(
            "with warm-up, 12 layers of Post-LN are no worse than Pre-LN: its perplexity {effect}"
        ),
        on="placements",
    ),
    Entry(
        slug="postln-warmup-ok",
        part="24 layers",
        when=lambda s: transformer(s) and s.warmup and (s.depth >= 18),
        judge=judges.no_worse,
        favours=("pre",),
        against=("post",),
        says="with warm-up, 24 layers of Post-LN have the perplexity of Pre-LN {effect}",
        opposite="with warm-up, 24 layers of Post-LN have less perplexity than Pre-LN: {effect}",
        neither=(
            "with warm-up, 24 layers of Post-LN are no worse than Pre-LN: its perplexity {effect}"
        ),
        on="placements",
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
    Entry(
        slug="layernorm-scaling-depth",
        part="12 layers, xavier",
        when=lambda s: transformer(s) and s.depth >= 9,
        judge=judges.by_margin,
        says=(
            "model.layer_scaling=true lowers the loss of 12 layers by {effect}, with the "
            "initial scale of xavier"
        ),
        neither=(
            "model.layer_scaling=true changes the loss of 12 layers by {effect}, with the "
            "initial scale of xavier"
        ),
        on="placements",
        given=lambda s: s.warmup,
        lacks="measured with warm-up only",
    ),
    Entry(
        slug="layernorm-scaling-depth",
        part="12 layers, gpt2",
        when=lambda s: transformer(s) and s.depth >= 9,
        judge=judges.by_margin,
        says=(
            "model.layer_scaling=true lowers the loss of 12 layers by {effect}, with the "
            "initial scale of gpt2"
        ),
        neither=(
            "model.layer_scaling=true changes the loss of 12 layers by {effect}, with the "
            "initial scale of gpt2"
        ),
        on="placements",
        given=lambda s: s.warmup,
        lacks="measured with warm-up only",
    ),
    Entry(
        slug="qknorm-high-lr",
        part="largest useful rate",
        when=transformer,
        judge=judges.by_ratio,
        says=(
            "without warm-up, model.qk_norm=true raises the largest useful learning rate of "
            "6 layers {effect}"
        ),
        neither=(
            "without warm-up, model.qk_norm=true changes the largest useful learning rate of "
            "6 layers {effect}"
        ),
        on="placements",
        given=no_warmup,
        lacks="measured without warm-up only",
    ),
)
