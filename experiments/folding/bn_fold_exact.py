"""At inference BatchNorm folds into the convolution before it, and the network computes the same.

Said by: "Normalization Deep-Dive".
Primary source: Ioffe & Szegedy 2015, section 3.1: with fixed statistics the normalization is a
linear transform of each activation.
Measured: the difference that folding makes. Exact on paper; in floating point the folded weights
are rounded anew. Networks with the statistics and parameters of a fresh one (0, 1) would show
little, so: random networks of convolutions, transposed convolutions and linear layers with drawn
statistics and signs, and a CNN trained on images. The catalogue's rule, with bfloat16 beside its
float16: there the unfolded network is rounded at each layer, too, so of the folded one is asked
that it is no further from float32.
Cost: normlab run bn-fold-exact --profile full    20 trials, 50 minutes of one core
"""

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.looks import Looks
from normlab.claims.protocols.images import SHORT, image_protocols
from normlab.claims.protocols.overrides import as_options
from normlab.claims.quantity import Quantity, largest, value
from normlab.claims.rules import Between, Exact, Within
from normlab.measure.networks import train_network
from normlab.records.measurement import Measurement

LAYERS = ("conv", "transposed", "linear")
LOW = ("float16", "bfloat16")


def trial(options: Options, seed: int) -> Measurement:
    """Largest errors of random networks, relative to the largest output; agreement and errors of a
    trained one."""
    import copy

    import torch
    from torch import Tensor, nn

    from normlab.measure.random_networks import random_network
    from normlab.tools.fold.model import fold

    def error(y: Tensor, target: Tensor) -> float:
        return float((y - target).abs().max() / target.abs().max())

    def disagree(logits: Tensor, target: Tensor) -> float:
        return 100 * float((logits.argmax(1) != target.argmax(1)).double().mean())

    def folded(model: nn.Module) -> nn.Module:
        folding = fold(model)
        assert not folding.kept, str(folding)
        return folding.model

    metrics: dict[str, float] = {}
    with torch.no_grad():
        for kind in LAYERS:
            net, x = random_network(kind, seed)
            for name in ("float32", "float64"):
                dtype = getattr(torch, name)
                # Float32 first: from there to float64 nothing is lost.
                net, x = net.to(dtype), x.to(dtype)
                metrics[f"{kind}_{name}"] = error(folded(net)(x), net(x))
    # A network whose statistics belong to data, beside the random ones.
    trained = train_network((*options["overrides"], "norm=batchnorm"), seed)
    model, twin = trained.model, folded(trained.model)
    with torch.no_grad():
        x = torch.cat([x for x, _ in trained.data.eval_batches("test")])
        target = model(x)
        metrics |= {"trained": error(twin(x), target), "disagree": disagree(twin(x), target)}
        for name in LOW:
            dtype = getattr(torch, name)
            # Folded in float32 and rounded then, as a tool would do it.
            given, low = (
                copy.deepcopy(net).to(dtype)(x.to(dtype)).float() for net in (model, folded(model))
            )
            metrics[f"{name}_disagree"] = disagree(low, given)
            metrics[f"{name}_given"] = float((given - target).square().mean().sqrt())
            metrics[f"{name}_folded"] = float((low - target).square().mean().sqrt())
    return Measurement(metrics, trained.source)


def identity(name: str, statement: str, tolerance: float, *metrics: str) -> Part:
    """The largest of the named errors, draw by draw."""
    words = f"the largest of {', '.join(metrics).replace('_', ' ')}, draw by draw"
    return Part(name, statement, largest(("cnn",), metrics, words=words), Exact(tolerance))


def error_ratio(evidence: Evidence) -> Values:
    """Log (n,) of the errors in bfloat16, folded over as given."""
    folded, given = (evidence.values("cnn", f"bfloat16_{which}") for which in ("folded", "given"))
    # `Between` decides about logarithms of ratios.
    return np.asarray(np.log(folded / given))


CLAIM = Claim(
    slug="bn-fold-exact",
    statement="At inference BatchNorm folds into the layer before it without a change of the "
    "results.",
    documents=("Normalization Deep-Dive",),
    source="Ioffe & Szegedy 2015, section 3.1: with fixed statistics BN is 'simply a linear "
    "transform'.",
    prediction="supported: errors of rounding only",
    arms=(Arm("cnn"),),
    protocols=as_options(
        image_protocols(
            # Its batch norms follow convolutions; in `speednet` a pooling is between them.
            "model=plaincnn",
            epochs=2,
            looks=Looks((20,)),
            full_epochs=SHORT,
            full_looks=Looks((20,)),
        )
    ),
    trial=trial,
    clauses=(
        identity(
            "float32",
            "in float32 random networks and a trained CNN give the same outputs",
            1e-5,
            *(f"{kind}_float32" for kind in LAYERS),
            "trained",
        ),
        identity(
            "classes",
            "in float32 at most one test image of 10,000 gets another class, by a tie",
            # Per cent of the images.
            0.01,
            "disagree",
        ),
    ),
    scope=(
        identity(
            "float64",
            "in float64 random networks give the same",
            1e-10,
            *(f"{kind}_float64" for kind in LAYERS),
        ),
        Part(
            "float16",
            "in float16 it gives 99.9 % of the images the same class",
            value(
                "cnn",
                "float16_disagree",
                words="test images that get another class once it is folded",
                unit="% of images",
            ),
            Within(0.1),
        ),
        Part(
            "bfloat16",
            "in bfloat16 the folded CNN is as near to float32 as the unfolded one",
            Quantity(
                "root mean square error against float32, folded over as given",
                "times",
                error_ratio,
                ("cnn",),
            ),
            Between(0, 1.25),
        ),
    ),
    answers=Answers(
        supported="In float32 folding changes outputs by {float32.effect:.0e} of the largest at "
        "most, and the class of {classes.effect:.2f} % of the images.",
        refuted="In float32 folding changes outputs by up to {float32.effect:.1e} of the largest, "
        "and the class of {classes.effect:.2f} % of the images.",
        partly="In float32 folding changes outputs by up to {float32.effect:.1e} of the largest, "
        "and the class of {classes.effect:.2f} % of the images: one of both is not nothing.",
    ),
    caveats=(
        "A batch norm between a sum and a ReLU, or before a convolution that pads with zeros, does "
        "not fold.",
    ),
    would_change="A network in which a folded batch norm changes the output by more than rounding.",
    metrics={
        **{
            f"{kind}_{dtype}": f"random nets of {kind} layers, change by folding, relative, {dtype}"
            for kind in LAYERS
            for dtype in ("float32", "float64")
        },
        "trained": "trained CNN, change of outputs by folding, relative, float32",
        "disagree": "test images that get another class by folding, float32, %",
        "float16_disagree": "test images that get another class by folding, float16, %",
        "bfloat16_given": "error of the CNN's outputs in bfloat16, unfolded, RMS",
        "bfloat16_folded": "error of the CNN's outputs in bfloat16, folded, RMS",
    },
)
