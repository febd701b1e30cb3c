"""What the rows read of the trials: arrays (n,) by seed, of one norm each."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from normlab.claims.claim import Arm
from normlab.claims.evidence import Evidence, Missing, Values
from normlab.claims.stats import Sample
from normlab.score import battery
from normlab.score.battery import SGD_BATCH
from normlab.score.subject import Subject

CHANCE = 0.1  # every image set of the battery has ten classes
# Accuracy of a net that trains at all: six standard errors of 2,000 images above chance.
TRAINS = 1.5 * CHANCE
# Loss of a transformer that trains, in trivial losses (the entropy of single characters).
TEXT_TRAINS = 0.9
NEAR = 0.05  # accuracy below the best that still counts as good

Read = Callable[[Evidence, Subject], Values]
Booleans = NDArray[np.bool_]


def learns(evidence: Evidence, subject: Subject) -> Values:
    """Accuracy (n,) of the base net.

    A norm whose net does not learn has nothing to lose, so it must not win by that.

    Raises:
        Missing: the net does not train, by the mean over seeds.
    """
    values = evidence.values(subject.name)
    if values.mean() < TRAINS:
        raise Missing(
            f"the base net with {subject.name} does not train here, so it has nothing to lose"
        )
    return values


def accuracy(evidence: Evidence, subject: Subject) -> Values:
    """Per cent (n,) of the base net."""
    return 100 * evidence.values(subject.name)


def batch_cost(n: int) -> Read:
    """Points that a normalization batch of n costs against the SGD batch."""

    def cost(evidence: Evidence, subject: Subject) -> Values:
        small = evidence.values(battery.batch_arm(subject, n).name)
        return 100 * (learns(evidence, subject) - small)

    return cost


def smallest_batch(
    evidence: Evidence, subject: Subject, among: Sequence[int] | None = None
) -> Values:
    """log2 (n,) of the smallest normalization batch from which on all are within 5 points of 64.

    0 for any batch. `among`: the batches that count; None: all that the norm is run with.
    """
    whole = learns(evidence, subject)
    sizes = battery.sizes(subject) if among is None else among
    # Where not even the largest size is good, the SGD batch is the smallest that is.
    smallest: Values = np.full(len(whole), float(SGD_BATCH if sizes else 1))
    good = np.ones(len(whole), dtype=bool)
    # From the largest down: a size counts only if all above it do.
    for n in sorted(sizes, reverse=True):
        good &= evidence.values(battery.batch_arm(subject, n).name) >= whole - NEAR
        smallest = np.where(good, n, smallest)
    logarithms: Values = np.log2(smallest)
    return logarithms


def smaller_batch(evidence: Evidence, subject: Subject, other: Subject) -> Sample:
    """log2 of the smallest normalization batch, and minus the other's: two samples (n,).

    Both by the sizes that both were run with. Where one needs no batch it has the smallest size
    that the other was run with: below that nothing is known of it.
    """
    own, others = set(battery.sizes(subject)), set(battery.sizes(other))
    if own and others:
        shared = sorted(own & others)
        return smallest_batch(evidence, subject, shared), -smallest_batch(evidence, other, shared)
    floor = np.log2(min(own | others, default=1))

    def smallest(norm: Subject) -> Values:
        if battery.sizes(norm):
            return smallest_batch(evidence, norm)
        return np.full(len(learns(evidence, norm)), floor)

    return smallest(subject), -smallest(other)


def decades(arm: Callable[[Subject, float], Arm], settings: tuple[float, ...], step: float) -> Read:
    """Decades (n,) of `settings`, `step` apart, that train and come near the seed's best."""

    def width(evidence: Evidence, subject: Subject) -> Values:
        table = evidence.table([arm(subject, setting).name for setting in settings])
        # A best rate that trains nothing would have all others near it.
        bar = np.maximum(table.max(axis=1, keepdims=True) - NEAR, TRAINS)
        widths: Values = step * (table >= bar).sum(axis=1)
        return widths

    return width


def deepest(depths: tuple[int, ...], trains: Callable[[Evidence, Subject, int], Booleans]) -> Read:
    """log2 (n,) of the deepest net up to which all train.

    0, a single layer, if the shallowest does not.
    """

    def depth_of(evidence: Evidence, subject: Subject) -> Values:
        good = np.ones(len(evidence.seeds), dtype=bool)
        result = np.zeros(len(evidence.seeds))
        for depth in depths:
            good &= trains(evidence, subject, depth)
            result = np.where(good, np.log2(depth), result)
        return result

    return depth_of


def cnn_trains(evidence: Evidence, subject: Subject, depth: int) -> Booleans:
    """(n,) whether the net of that depth trains."""
    return evidence.values(battery.depth_arm(subject, depth).name) >= TRAINS


def text_trains(evidence: Evidence, subject: Subject, depth: int) -> Booleans:
    """(n,) whether the transformer of that depth trains."""
    name = battery.text_arm(subject, depth).name
    return evidence.values(name, "test_loss") < TEXT_TRAINS * evidence.values(name, "trivial_loss")


def shift_cost(evidence: Evidence, subject: Subject) -> Values:
    """Points that corruptions cost, on average, nothing adapted."""
    return 100 * (learns(evidence, subject) - evidence.values(subject.name, "corrupted_accuracy"))


def one_class_cost(evidence: Evidence, subject: Subject) -> Values:
    """Points that groups of one class cost, against groups of the same size of any class."""
    learns(evidence, subject)
    mixed = evidence.values(battery.batch_arm(subject, battery.GROUP).name)
    return 100 * (mixed - evidence.values(battery.one_class_arm(subject).name))


def bf16_cost(evidence: Evidence, subject: Subject) -> Values:
    """Points that training in bfloat16 costs."""
    return 100 * (learns(evidence, subject) - evidence.values(battery.bf16_arm(subject).name))


def layer(metric: str) -> Read:
    """Errors (n,) of the draws."""
    return lambda evidence, subject: evidence.values(subject.name, metric)


def beside(evidence: Evidence, subject: Subject, other: Subject | None, mode: str) -> Values:
    """log2 (n,) of the layer's time in times of another norm's; of a copy's where there is none."""
    ratios = evidence.values(battery.cost_arm(subject, other).name, f"{mode}_ratio")
    return np.log2(ratios)
