"""Every modern architecture normalizes between almost every operation.

Said by: "Normalization Deep-Dive".
Primary source: the implementations in the `transformers` library. NF-Nets (Brock et al. 2021),
Fixup (Zhang et al. 2019) and Dynamic Tanh (Zhu et al. 2025), which do without norms too, have no
implementation there.
Measured: two things are in the claim. "Every": one architecture in use without any norm refutes it.
"Between almost every operation", taken generously: an operation is one with a weight matrix or
kernel (linear layer, convolution), and it counts where nothing that another one or an embedding
made reaches it past every norm. In a Pre-LN block queries, keys, values and the first layer of the
MLP count; the two layers that lead back to the stream do not. Counted in a forward pass of tiny
copies: four language models, four networks for images, four for sound, of which DAC and UnivNet
stand for the convolutional vocoders. The counter was tried out on some of them before the list was
closed; the threshold is the one that the catalogue has for such audits.
Cost: normlab run norm-between-every-op --profile full    12 trials, 6 seconds of one core
"""

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.metrics import percent
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import Quantity, reached
from normlab.claims.rules import Listed
from normlab.records.measurement import Measurement

MODELS = (
    "llama", "gemma2", "gpt_neox", "t5", "vit", "swin", "convnext", "resnet", "whisper",
    "wav2vec2", "dac", "univnet",
)  # fmt: skip


def trial(options: Options, seed: int) -> Measurement:
    """Norms, layers or function calls; operations with a weight, and the share of them that read
    normed values only."""
    import torch

    from normlab.tools.norm_placement import norm_placement
    from normlab.tools.tiny_transformers import build_tiny, tiny_inputs, transformers_version

    torch.manual_seed(seed)
    model = build_tiny(options["model"])
    found = norm_placement(model, tiny_inputs(model))
    # A norm called as a function is a norm, too: "every" must not fail by how code is written.
    norms = len(found.norms) + found.functional
    metrics = {
        "norms": norms,
        "operations": found.operations,
        "norms_per_operation": norms / found.operations,
        "normed_share": found.normed_operations / found.operations,
    }
    return Measurement(metrics, transformers_version())


def architectures_with(metric: str, at_least: float, words: str) -> Quantity:
    """1 or 0 for each model of the list."""
    return reached(MODELS, metric, at_least, words=words, unit="of the list")


CLAIM = Claim(
    slug="norm-between-every-op",
    statement="Every modern architecture normalizes between almost every operation.",
    documents=("Normalization Deep-Dive",),
    source="A transformer block of four to seven linear layers has two norms; NF-Nets and vocoders "
    "have none.",
    prediction="refuted: one has no norm, and of the operations about half to two thirds read "
    "normed values",
    arms=tuple(Arm(model, options={"model": model}) for model in MODELS),
    protocols=direct_protocols(1, 0.5),
    trial=trial,
    clauses=(
        Part(
            "every",
            "every architecture of the list has norms",
            architectures_with("norms", 1, "architectures with at least 1 norm"),
            # "Every": one exception refutes it.
            Listed(MODELS, 1.0),
        ),
        Part(
            "between almost every operation",
            "in an architecture at least 80 % of the operations read normed values only",
            architectures_with(
                "normed_share", 0.8, "architectures in which 80 % of the operations do"
            ),
            Listed(MODELS, 0.8),
        ),
    ),
    answers=Answers(
        supported="Every architecture of the list has norms, and "
        "{between almost every operation.effect:.0%} have them between almost all operations.",
        refuted="Of 12 architectures {every.effect:.0%} have norms at all, and "
        "{between almost every operation.effect:.0%} have one before 80 % of their operations.",
        partly="Of 12 architectures {every.effect:.0%} have norms, and "
        "{between almost every operation.effect:.0%} have one before 80 % of their operations.",
    ),
    caveats=(
        "Operations without a weight (products of attention, activations, sums) are left out: with "
        "them shares fall.",
        "Reparametrized weights, as weight normalization in vocoders, are no norm of activations.",
        "What is modern is a choice: a list of convolutional nets with BatchNorm only would "
        "support the second part.",
    ),
    would_change="Architectures that normalize the inputs of the layers that lead back to the "
    "stream as well.",
    first_seed=0,
    metrics={
        "norms": "norms in a tiny copy of the network, count",
        "normed_share": percent("operations that read normed values only"),
    },
)
