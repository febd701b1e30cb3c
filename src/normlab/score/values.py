"""What the rows read of the trials: arrays (n,) by seed, of one norm each."""

from collections.abc import Callable, Sequence

import numpy as np

from normlab.claims.claim import Arm
from normlab.claims.evidence import Evidence, Missing
from normlab.score import battery
from normlab.score.battery import SGD_BATCH
from normlab.score.subject import Subject

CHANCE = 0.1  # every image set of the battery has ten classes
TRAINS = (
    1.5 * CHANCE
)  # accuracy of a net that trains at all: six standard errors of 2,000 images above chance
TEXT_TRAINS = (
    0.9  # loss of a transformer that trains, in trivial losses (the entropy of single characters)
)
NEAR = 0.05  # accuracy below the best that still counts as good

Values = Callable[[Evidence, Subject], np.ndarray]


def learns(evidence: Evidence, subject: Subject) -> np.ndarray:
    """Accuracy (n,) of the base net. A norm whose net does not learn has nothing to lose, so it
    must not win by that.

    Raises:
        Missing: the net does not train, by the mean over seeds.
    """
    values = evidence.values(subject.name)
    if values.mean() < TRAINS:
        raise Missing(
            f"the base net with {subject.name} does not train here, so it has nothing to lose"
        )
    return values


def accuracy(evidence: Evidence, subject: Subject) -> np.ndarray:
    """Per cent (n,) of the base net."""
    return 100 * evidence.values(subject.name)


def batch_cost(n: int) -> Values:
    """Points that a normalization batch of n costs against the SGD batch."""

    def cost(evidence: Evidence, subject: Subject) -> np.ndarray:
        return 100 * (
            learns(evidence, subject) - evidence.values(battery.batch_arm(subject, n).name)
        )

    return cost


def smallest_batch(
    evidence: Evidence, subject: Subject, among: Sequence[int] | None = None
) -> np.ndarray:
    """log2 (n,) of the smallest normalization batch from which on all are within 5 points of 64;
    0 for any batch."""
    whole = learns(evidence, subject)
    sizes = battery.sizes(subject) if among is None else among
    smallest = np.full(len(whole), float(SGD_BATCH if sizes else 1))
    good = np.ones(len(whole), dtype=bool)
    for n in sorted(sizes, reverse=True):
        good &= evidence.values(battery.batch_arm(subject, n).name) >= whole - NEAR
        smallest = np.where(good, n, smallest)
    return np.log2(smallest)


def smaller_batch(evidence: Evidence, subject: Subject, other: Subject) -> np.ndarray:
    """log2 (n,) of the smallest normalization batch over the other's, both by the sizes that both
    were run with.

    Where one needs no batch it has the smallest size that the other was run with: below that
    nothing is known of it.
    """
    both = [set(battery.sizes(one)) for one in (subject, other)]
    if not both[0] or not both[1]:
        floor = np.log2(min(both[0] | both[1], default=1))
        found = [
            smallest_batch(evidence, one) if sizes else learns(evidence, one) * 0 + floor
            for one, sizes in zip((subject, other), both, strict=True)
        ]
    else:
        found = [
            smallest_batch(evidence, one, sorted(both[0] & both[1])) for one in (subject, other)
        ]
    return found[0] - found[1]


def decades(
    arm: Callable[[Subject, float], Arm], settings: tuple[float, ...], step: float
) -> Values:
    """Decades (n,) of `settings`, `step` apart, that train and come within 5 points of the
    seed's best."""

    def width(evidence: Evidence, subject: Subject) -> np.ndarray:
        table = evidence.table([arm(subject, setting).name for setting in settings])
        bar = np.maximum(table.max(axis=1, keepdims=True) - NEAR, TRAINS)
        return step * (table >= bar).sum(axis=1)

    return width


def deepest(
    depths: tuple[int, ...], trains: Callable[[Evidence, Subject, int], np.ndarray]
) -> Values:
    """log2 (n,) of the deepest net up to which all train; 0, a single layer, if the shallowest
    does not."""

    def depth_of(evidence: Evidence, subject: Subject) -> np.ndarray:
        good = np.ones(len(evidence.seeds), dtype=bool)
        result = np.zeros(len(evidence.seeds))
        for depth in depths:
            good &= trains(evidence, subject, depth)
            result = np.where(good, np.log2(depth), result)
        return result

    return depth_of


def cnn_trains(evidence: Evidence, subject: Subject, depth: int) -> np.ndarray:
    """(n,) booleans."""
    return evidence.values(battery.depth_arm(subject, depth).name) >= TRAINS


def text_trains(evidence: Evidence, subject: Subject, depth: int) -> np.ndarray:
    """(n,) booleans."""
    name = battery.text_arm(subject, depth).name
    return evidence.values(name, "test_loss") < TEXT_TRAINS * evidence.values(name, "trivial_loss")


def shift_cost(evidence: Evidence, subject: Subject) -> np.ndarray:
    """Points that corruptions cost, on average, nothing adapted."""
    return 100 * (learns(evidence, subject) - evidence.values(subject.name, "corrupted_accuracy"))


def one_class_cost(evidence: Evidence, subject: Subject) -> np.ndarray:
    """Points that groups of one class cost, against groups of the same size of any class."""
    learns(evidence, subject)
    mixed = evidence.values(battery.batch_arm(subject, battery.GROUP).name)
    return 100 * (mixed - evidence.values(battery.one_class_arm(subject).name))


def bf16_cost(evidence: Evidence, subject: Subject) -> np.ndarray:
    """Points that training in bfloat16 costs."""
    return 100 * (learns(evidence, subject) - evidence.values(battery.bf16_arm(subject).name))


def layer(metric: str) -> Values:
    """Errors (n,) of the draws."""
    return lambda evidence, subject: evidence.values(subject.name, metric)


def beside(evidence: Evidence, subject: Subject, other: Subject | None, mode: str) -> np.ndarray:
    """log2 (n,) of the layer's time in times of another norm's, or of a copy's where `other` is
    None."""
    return np.log2(evidence.values(battery.cost_arm(subject, other).name, f"{mode}_ratio"))
