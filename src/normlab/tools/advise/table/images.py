"""Verdicts on norms in networks for images, and in MLPs."""

from normlab.tools.advise import judges
from normlab.tools.advise.conditions import BN, GN, IN, LN, NONE, ample, images, never
from normlab.tools.advise.entry import Entry

IMAGES = (
    # Norms of single samples, one against another and against BatchNorm.
    Entry(
        slug="gn-beats-ln-vision",
        part="over C, H, W",
        when=images,
        judge=judges.by_margin,
        favours=(GN,),
        against=(LN,),
        says="GroupNorm with 8 groups is {effect} above LayerNorm over (C, H, W)",
        opposite="GroupNorm with 8 groups is below LayerNorm over (C, H, W): {effect}",
    ),
    Entry(
        slug="gn-beats-ln-vision",
        part="over C at each pixel",
        when=images,
        judge=judges.by_margin,
        favours=(GN,),
        against=("channel_layernorm",),
        says="GroupNorm with 8 groups is {effect} above LayerNorm over the channels of each pixel",
        opposite=(
            "GroupNorm with 8 groups is below LayerNorm over the channels of each pixel: {effect}"
        ),
    ),
    *(
        Entry(
            slug="in-hurts-classification",
            part=part,
            when=lambda s: images(s) and ample(s),
            judge=judges.by_margin,
            favours=(BN,),
            against=(IN,),
            says=f"classifying with a {net}, InstanceNorm is {{effect}} below BatchNorm",
            opposite=f"classifying with a {net}, InstanceNorm is above BatchNorm: {{effect}}",
        )
        for part, net in (("plain net", "plain net"), ("residual net", "ResNet"))
    ),
    Entry(
        slug="in-hurts-classification",
        part="discards",
        when=images,
        judge=judges.by_identity,
        against=(IN,),
        says=(
            "an image's contrast cannot be read from InstanceNorm's features: {effect} above chance"
        ),
        opposite=(
            "an image's contrast can be read from InstanceNorm's features: {effect} above chance"
        ),
    ),
    Entry(
        slug="in-hurts-classification",
        part=None,
        when=images,
        judge=judges.as_said,
        against=(GN,),
        given=never,
        lacks=(
            "its trials probe GroupNorm's features for contrast, too, and no part decides on them"
        ),
    ),
    # What BatchNorm wins over no norm.
    Entry(
        slug="bn-speeds-training",
        part="5 layers",
        # Measured at 5 and at 10 layers, and between them lies 7.5.
        when=lambda s: images(s) and ample(s) and (s.depth < 8),
        judge=judges.by_ratio,
        favours=(BN,),
        against=(NONE,),
        says="BatchNorm needs {effect} fewer steps than no norm, in 5 layers",
        opposite="BatchNorm needs more steps than no norm, in 5 layers: {effect} fewer",
    ),
    Entry(
        slug="bn-speeds-training",
        part="10 layers",
        when=lambda s: images(s) and ample(s) and (s.depth >= 8),
        judge=judges.by_ratio,
        favours=(BN,),
        against=(NONE,),
        says="BatchNorm needs {effect} fewer steps than no norm, in 10 layers",
        opposite="BatchNorm needs more steps than no norm, in 10 layers: {effect} fewer",
    ),
    Entry(
        slug="bn-deeper-nets",
        part="plain CNN",
        when=lambda s: images(s) and ample(s) and (s.depth >= 10),
        judge=judges.by_margin,
        favours=(BN,),
        against=(NONE,),
        says=(
            "the deepest plain CNN that trains is {effect} deeper with BatchNorm than without norm"
        ),
        opposite=(
            "the deepest plain CNN that trains is shallower with BatchNorm than without "
            "norm: {effect}"
        ),
    ),
    Entry(
        slug="bn-deeper-nets",
        part="ResNet",
        when=lambda s: images(s) and ample(s) and (s.depth >= 8),
        judge=judges.by_margin,
        favours=(BN,),
        against=(NONE,),
        says="the deepest ResNet that trains is {effect} deeper with BatchNorm than without norm",
        opposite=(
            "the deepest ResNet that trains is shallower with BatchNorm than without norm: {effect}"
        ),
    ),
    Entry(
        slug="bn-deeper-nets",
        part="MLP",
        when=lambda s: s.input == "vectors" and ample(s) and (s.depth >= 10),
        judge=judges.by_margin,
        favours=(BN,),
        against=(NONE,),
        says="the deepest MLP that trains is {effect} deeper with BatchNorm than without norm",
        opposite=(
            "the deepest MLP that trains is shallower with BatchNorm than without norm: {effect}"
        ),
    ),
    # Options of GroupNorm and LayerNorm.
    Entry(
        slug="gn-group-count-matters",
        part="default",
        when=images,
        judge=judges.by_margin,
        says="a search for the number of groups wins GroupNorm {effect} over 8",
        neither="a search for GroupNorm's number of groups wins nothing over 8: {effect}",
    ),
    Entry(
        slug="ln-chw-shape",
        part="resolution",
        when=lambda s: images(s) and s.varying,
        judge=judges.by_identity,
        says=(
            "torch's LayerNorm((C, H, W)) takes maps of another size than it was built for: "
            "{effect}"
        ),
        opposite=(
            "torch's LayerNorm((C, H, W)) refuses maps of another size than it was built "
            "for: {effect}"
        ),
    ),
)
