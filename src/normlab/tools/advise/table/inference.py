"""Verdicts on norms that must fold into the weights."""

from normlab.tools.advise import judges
from normlab.tools.advise.conditions import BN, GN, IN, LN, RMS, folding, must_fold, never
from normlab.tools.advise.entry import Entry

INFERENCE = (
    # What BatchNorm becomes at inference.
    Entry(
        slug="bn-eval-deterministic",
        part="network",
        when=must_fold,
        judge=judges.by_identity,
        favours=(BN,),
        says="at evaluation BatchNorm's output does not depend on the batch: {effect}",
        opposite="at evaluation BatchNorm's output depends on the batch: {effect}",
    ),
    Entry(
        slug="bn-fold-exact",
        part="float32",
        when=must_fold,
        judge=judges.by_identity,
        favours=(BN,),
        says="BatchNorm folds into the layer before it: {effect}, in float32",
        opposite="BatchNorm does not fold into the layer before it exactly: {effect}, in float32",
    ),
    Entry(
        slug="bn-fold-latency",
        part="ResNet-20",
        when=must_fold,
        judge=judges.as_said,
        neither="folded and run eagerly, a CNN takes {effect} its time",
    ),
    Entry(
        slug="bn-fold-latency",
        part="onnxruntime, resnet20",
        when=must_fold,
        judge=judges.as_said,
        neither="folded beforehand, a CNN takes {effect} its time in ONNX Runtime",
    ),
    *(
        Entry(
            slug="fold-automatic",
            part=tool,
            when=must_fold,
            judge=judges.by_identity,
            says=f"{tool} folds BatchNorm behind convolutions by itself",
            opposite=f"{tool} leaves BatchNorm behind convolutions: {{effect}}",
        )
        for tool in ("ONNX Runtime", "torch.export")
    ),
    # What other norms become.
    *(
        Entry(
            slug="ln-cannot-fold",
            part="division",
            when=must_fold,
            judge=judges.by_identity,
            against=(kind,),
            says=f"{name}'s division folds into no linear layer: {{effect}}",
            opposite=f"{name}'s division folds into a linear layer: {{effect}}",
        )
        for kind, name in ((LN, "LayerNorm"), (RMS, "RMSNorm"))
    ),
    *(
        Entry(
            slug="ln-cannot-fold",
            part=None,
            when=folding(*inputs),
            judge=judges.as_said,
            against=(kind,),
            given=never,
            lacks="no part measures whether its division folds",
        )
        for (kind, inputs) in (
            (GN, ("images", "vectors", "recurrent")),
            (IN, ("images",)),
            ("channel_layernorm", ("images",)),
        )
    ),
    Entry(
        slug="ln-cannot-fold",
        part="rest",
        when=must_fold,
        judge=judges.by_identity,
        says="LayerNorm's gain, shift and centring do not fold: {effect}",
        opposite=(
            "LayerNorm's gain, shift and centring fold, an RMSNorm without parameters "
            "remains: {effect}"
        ),
    ),
)
