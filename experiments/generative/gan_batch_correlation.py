"""BatchNorm in a generator makes the images of a batch depend on each other.

Said by: "How BN, IN and LN differ".
Primary source: Salimans et al. 2016 (arXiv 1606.03498), section 3.4: with batch normalization the
output for an input depends highly on the other inputs of its batch; they propose statistics of a
fixed reference batch for the generator.
Measured: a generator in DCGAN's manner (a linear layer, two of upsampling and convolution, each
with a norm, 16x16 images) with random weights. One latent vector is moved, by a Jacobian-vector
product in float64, and the change of each image of the batch of 8 is compared with the change of
the image of that vector: the share of the others, the root of the sum of their squares by its own.
Clause: it is not 0 with BatchNorm in train mode. Scope: the norms without a batch, BatchNorm in
eval mode, and how the share goes with the batch. That artefacts follow, as the document goes on, is
not tested.
Cost: normlab run gan-batch-correlation --profile full    160 trials, 8 seconds of one core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.metrics import logarithm
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import largest, value
from normlab.claims.rules import Between, Exact, NotExact

LATENT, WIDTH = 16, 16
TOLERANCE = 1e-9
PER_SAMPLE = ("instancenorm", "layernorm", "groupnorm", "rmsnorm")
ARMS: dict[str, Options] = {
    **{f"batchnorm {n}": {"norm": "batchnorm", "batch": n, "train": True} for n in (4, 8, 64)},
    "batchnorm, eval mode": {"norm": "batchnorm", "batch": 8, "train": False},
    **{norm: {"norm": norm, "batch": 8, "train": True} for norm in PER_SAMPLE},
}


def trial(options: Options, seed: int) -> dict[str, Any]:
    """The share of the other images in what one latent vector changes."""
    import math

    import torch
    from torch import Tensor, nn

    from normlab.norms import make_norm

    torch.manual_seed(seed)
    norm = options["norm"]
    generator = nn.Sequential(
        nn.Linear(LATENT, 2 * WIDTH * 16),
        nn.Unflatten(1, (2 * WIDTH, 4, 4)),
        make_norm(norm, 2 * WIDTH),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(2 * WIDTH, WIDTH, 3, padding=1),
        make_norm(norm, WIDTH),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(WIDTH, 3, 3, padding=1),
        nn.Tanh(),
    ).double()
    z = torch.randn(options["batch"], LATENT, dtype=torch.float64)
    generator(z)  # running statistics, for eval mode
    generator.train(options["train"])
    moved = torch.zeros_like(z)
    moved[0] = torch.randn(LATENT, dtype=torch.float64)

    def images(latent: Tensor) -> Tensor:
        out: Tensor = generator(latent)
        return out

    _, change = torch.autograd.functional.jvp(images, z, moved)
    size = change.flatten(1).norm(dim=1)
    share = float(size[1:].norm() / size[0])
    return {"share": share, "log_share": math.log(max(share, 1e-30))}


def share(arm: str) -> str:
    return f"change of the other images by that of its own, {arm}, by draw"


CLAIM = Claim(
    slug="gan-batch-correlation",
    statement="BatchNorm in a generator makes the images of a batch depend on each other.",
    documents=("How BN, IN and LN differ",),
    source="Salimans et al. 2016, section 3.4: with batch normalization an output depends highly "
    "on the other inputs of its batch.",
    prediction="supported in train mode; not with norms of a sample, nor in eval mode",
    arms=tuple(Arm(name, options=options) for name, options in ARMS.items()),
    protocols=direct_protocols(20, 0.05),
    trial=trial,
    clauses=(
        Part(
            "others",
            "with BatchNorm in train mode one latent vector changes the other images, too",
            value("batchnorm 8", "share", words=share("batchnorm 8"), unit="of its own"),
            NotExact(TOLERANCE),
        ),
    ),
    scope=(
        Part(
            "a tenth",
            "and by a tenth of what it changes its own, in a batch of 8",
            value("batchnorm 8", "log_share", words=share("batchnorm 8"), unit="times"),
            Between(0.1, float("inf")),
        ),
        Part(
            "batch of 64",
            "and so in a batch of 64",
            value("batchnorm 64", "log_share", words=share("batchnorm 64"), unit="times"),
            Between(0.1, float("inf")),
        ),
        Part(
            "batch of 4",
            "and so in a batch of 4",
            value("batchnorm 4", "log_share", words=share("batchnorm 4"), unit="times"),
            Between(0.1, float("inf")),
        ),
        Part(
            "eval mode",
            "with BatchNorm in eval mode it changes no other image",
            value(
                "batchnorm, eval mode",
                "share",
                words=share("batchnorm in eval mode"),
                unit="of its own",
            ),
            Exact(TOLERANCE),
        ),
        Part(
            "norms of a sample",
            "with InstanceNorm, LayerNorm, GroupNorm and RMSNorm neither",
            largest(PER_SAMPLE, "share", words=share("the largest of the four")),
            Exact(TOLERANCE),
        ),
    ),
    answers=Answers(
        supported="In train mode one latent vector changes the other images of a batch of 8 by "
        "{a tenth.effect:.2f} ({a tenth.low:.2f} to {a tenth.high:.2f}) of what it changes its "
        "own, in a batch of 64 by {batch of 64.effect:.2f}; in eval mode by "
        "{eval mode.effect:.0g}, and with norms of a sample by {norms of a sample.effect:.0g}.",
        refuted="With BatchNorm in train mode one latent vector changes no other image of its "
        "batch: by {others.effect:.0e} of its own at most.",
    ),
    caveats=(
        "Of random weights: that images of a trained generator show artefacts is not tested here.",
        "A generator that samples in eval mode has none of it, and other statistics instead.",
    ),
    would_change="A generator whose BatchNorm has other statistics than its batch's, as the "
    "reference batch of Salimans et al.",
    first_seed=0,
    metrics={
        "share": "change of the other images over that of the vector's own",
        "log_share": logarithm(
            "change of the other images over the own one's (0 is drawn at 1e-30)"
        ),
    },
)
