"""GroupNorm is the better choice for detection, where batches are small.

Said by: "Differences between Batch, Layer, Group and Instance Norm" and "Normalization Deep-Dive".
Primary source: Wu & He 2018 and the code of its authors. Read there:
- facebookresearch/Detectron, projects/GN/README.md: Mask R-CNN with FPN on COCO, 2 images per GPU,
  GN against BN that is frozen into a linear layer, Detectron's default. ResNet-50, 2x: 40.3 against
  38.6 box AP, 35.7 against 34.5 mask AP; ResNet-101, 2x: 41.8 against 40.9, 36.8 against 36.4;
  ResNet-50, 3x: 40.8 against 38.9, 36.1 against 34.3. Of ResNet-101 at 3x no frozen BN is stated.
- facebookresearch/detectron2, MODEL_ZOO.md, normalization methods, and configs/Misc: ResNet-50, 3x,
  16 images on 8 GPUs: GN 42.6 and 38.6, SyncBN with the same head 41.9 and 37.8, frozen BN with a
  smaller head 41.0 and 37.2.
- Defaults: detectron2/config/defaults.py, RESNETS.NORM FrozenBN; torchvision,
  models/detection/backbone_utils.py, FrozenBatchNorm2d; mmdetection, configs/_base_/models,
  mask-rcnn_r50_fpn.py, BN with norm_eval.
Measured: provenance: decided by what the sources state, nothing is trained. Clauses: GN is ahead of
frozen BN by 1 AP or more, in at least 80 % of the rows that state both; not in the best row only.
Scope: Detectron2's row, synchronized BN, whether it is ahead at all, and what libraries do.
Cost: normlab run detection-gn --profile full    1 trial, a second of one core
"""

from collections.abc import Sequence

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import Quantity
from normlab.claims.rules import Listed

ROWS = ("ResNet-50, 2x", "ResNet-101, 2x", "ResNet-50, 3x")
DETECTRON2 = "Detectron2, ResNet-50, 3x"
KINDS = ("box", "mask")
# AP on COCO by row, norm and kind, read in the sources above, once.
STATED = {
    "ResNet-50, 2x": {"GN": (40.3, 35.7), "frozen BN": (38.6, 34.5)},
    "ResNet-101, 2x": {"GN": (41.8, 36.8), "frozen BN": (40.9, 36.4)},
    "ResNet-50, 3x": {"GN": (40.8, 36.1), "frozen BN": (38.9, 34.3)},
    DETECTRON2: {"GN": (42.6, 38.6), "frozen BN": (41.0, 37.2), "SyncBN": (41.9, 37.8)},
}
# 1 if the detectors of the library have GN by default: all four have BN whose statistics are
# frozen, in MMDetection with a gain and a shift that are trained.
GN_BY_DEFAULT = {"Detectron": 0.0, "Detectron2": 0.0, "torchvision": 0.0, "MMDetection": 0.0}
# Row, norm against which GN is held, kind of AP.
Comparison = tuple[str, str, str]


def trial(options: Options, seed: int) -> dict[str, float]:
    """What the sources state, as numbers."""
    metrics = dict(GN_BY_DEFAULT)
    for row, norms in STATED.items():
        for norm, values in norms.items():
            metrics.update(
                {f"{row}, {norm}, {kind}": ap for kind, ap in zip(KINDS, values, strict=True)}
            )
    return metrics


def against(norm: str, kinds: Sequence[str], rows: Sequence[str]) -> tuple[Comparison, ...]:
    """Every row and kind of AP, GN against `norm`."""
    return tuple((row, norm, kind) for row in rows for kind in kinds)


WU_HE = against("frozen BN", KINDS, ROWS)
FROZEN = against("frozen BN", KINDS, (DETECTRON2,))
SYNCHRONIZED = against("SyncBN", KINDS, (DETECTRON2,))


def part(
    name: str,
    statement: str,
    comparisons: tuple[Comparison, ...],
    at_least: float = 1.0,
    share: float = 0.8,
) -> Part:
    """Whether GN is ahead by `at_least` AP in a share of the comparisons."""

    def read(evidence: Evidence) -> Values:
        ahead = []
        for row, norm, kind in comparisons:
            gn, other = (evidence.values("stated", f"{row}, {one}, {kind}") for one in ("GN", norm))
            ahead.append(gn[0] - other[0] >= at_least)
        return np.array(ahead, dtype=float)

    words = f"rows in which GN is {at_least:g} AP or more ahead, of {len(comparisons)} stated"
    names = tuple(f"{kind} AP against {norm} ({row})" for row, norm, kind in comparisons)
    quantity = Quantity(words, "of the list", read, ("stated",))
    return Part(name, statement, quantity, Listed(names, share))


def defaults(evidence: Evidence) -> Values:
    """(k,): 1 for each library with GN by default."""
    return np.array([evidence.values("stated", name)[0] for name in GN_BY_DEFAULT])


CLAIM = Claim(
    slug="detection-gn",
    statement="GroupNorm is the better choice for detection, where batches are small.",
    documents=(
        "Differences between Batch, Layer, Group and Instance Norm",
        "Normalization Deep-Dive",
    ),
    source="Wu & He 2018, 2 images per GPU, ResNet-50: 40.3 box AP with GN, 38.6 with frozen BN; "
    "ResNet-101: 41.8 and 40.9.",
    prediction="partly supported: 1.7 AP better, but detectors in use have frozen or synchronized "
    "BN",
    arms=(Arm("stated"),),
    protocols=direct_protocols(1, 0.01),
    trial=trial,
    clauses=(
        part(
            "box",
            "at two images per GPU GN has at least 1 box AP more than frozen BN",
            against("frozen BN", ("box",), ROWS),
        ),
        part(
            "mask",
            "at two images per GPU GN has at least 1 mask AP more than frozen BN",
            against("frozen BN", ("mask",), ROWS),
        ),
    ),
    scope=(
        part("Detectron2", "in Detectron2's table GN has at least 1 AP more", FROZEN),
        part(
            "SyncBN",
            "against synchronized BN, at the same schedule and head, GN has at least 1 AP more",
            SYNCHRONIZED,
        ),
        part(
            "ahead at all",
            "GN has the higher AP in every comparison that was read",
            (*WU_HE, *FROZEN, *SYNCHRONIZED),
            0.1,
            1.0,
        ),
        Part(
            "defaults",
            "libraries of detectors use GN by default",
            Quantity("libraries with GN by default", "of the list", defaults, ("stated",)),
            Listed(tuple(GN_BY_DEFAULT), 0.8),
        ),
    ),
    answers=Answers(
        supported="In the sources' tables GroupNorm is at least 1 AP ahead of frozen BatchNorm at "
        "two images per GPU ({box.effect:.0%} of the rows for boxes, {mask.effect:.0%} for masks).",
        refuted="GroupNorm is 1 AP or more ahead of frozen BatchNorm in {box.effect:.0%} of the "
        "source's rows for boxes and {mask.effect:.0%} for masks.",
        partly="At two images per GPU GroupNorm is ahead of frozen BatchNorm in every row of the "
        "source, by 1.2 to 1.9 AP with ResNet-50 but by 0.4 and 0.9 with ResNet-101; ahead of "
        "synchronized BatchNorm it is by less than 1 AP, and of four libraries none has it by "
        "default.",
    ),
    caveats=(
        "Live BatchNorm at two images is not what detectors use: the source puts its loss at about "
        "6 AP, see bn-batch2-coco-10map.",
        "GN has a larger box head than frozen BN in these tables; with the same head the source "
        "states 38.8 and 34.4 AP for frozen BN, ResNet-50 at 2x, so that 1.5 and 1.3 AP remain.",
        "Each number is of one training; GN and BN start from other pretrained backbones.",
        "GN costs time and memory: 1.017 against 0.897 s per step, 10.5 against 8.6 GB.",
    ),
    would_change="A row of ResNet-101 or larger with frozen BN at the longer schedule; runs with "
    "several seeds.",
    first_seed=0,
    metrics={
        **{
            f"{row}, {norm}, {kind}": f"stated {kind} AP on COCO, {row}, {norm}"
            for row, norms in STATED.items()
            for norm in norms
            for kind in KINDS
        },
        **{name: f"{name}: GN by default, 1 (yes) or 0 (no)" for name in GN_BY_DEFAULT},
    },
)
