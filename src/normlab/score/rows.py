"""What a norm must show, and when it beats another: one row per ability.

The bounds were written before any evaluation seed ran. They lie between the values that a cell can
take (depths, batches, widths), so that five equal seeds decide.
"""

from functools import partial
from math import log2

from normlab.claims.claim import Arm
from normlab.score import battery, values
from normlab.score.battery import CNN_DEPTHS, GAINS, GROUP, RATES, TEXT_DEPTHS
from normlab.score.row import Row
from normlab.score.subject import Subject
from normlab.score.trials.cost import MODES


def _all_sizes(subject: Subject) -> tuple[Arm, ...]:
    return (
        battery.base_arm(subject),
        *(battery.batch_arm(subject, n) for n in battery.sizes(subject)),
    )


def _two(subject: Subject) -> tuple[Arm, ...]:
    return battery.base_arm(subject), battery.batch_arm(subject, 2)


def _one_class(subject: Subject) -> tuple[Arm, ...]:
    return (
        battery.base_arm(subject),
        battery.batch_arm(subject, GROUP),
        battery.one_class_arm(subject),
    )


def _no_sequences(subject: Subject) -> str:
    return "" if "NTC" in subject.spec.layouts else "it takes no sequences (N, T, C)"


image = partial(Row, family="images", barred=battery.no_images)
exact = partial(
    Row,
    family="layer",
    exact=True,
    sign=-1,
    arms=lambda subject: (battery.layer_arm(subject),),
    unit="largest error",
)


def _cost(mode: str, name: str, words: str, bound: float) -> Row:
    return Row(
        name,
        family="cost",
        can=f"costs at most {bound:g} copies of its input in {words}",
        cannot=f"costs more than {bound:g} copies of its input in {words}",
        measured="median of 15 rounds, by turns with a copy of 64x32x16x16 values, "
        "and with the other norm; one thread",
        unit="copies",
        arms=lambda subject: (battery.cost_arm(subject, None),),
        value=lambda evidence, subject: values.beside(evidence, subject, None, mode),
        sign=-1,
        bound=log2(bound),
        # A tenth of the time.
        margin=log2(1.1),
        log=True,
        pair=lambda subject, other: (battery.cost_arm(subject, other),),
        against=lambda evidence, subject, other: values.beside(evidence, subject, other, mode),
    )


ROWS = (
    image(
        "accuracy",
        can="trains a small CNN",
        cannot="does not train a small CNN",
        measured="test accuracy of five convolutions after a few hundred steps at most; "
        "chance is 10 %",
        unit="%",
        arms=lambda subject: (battery.base_arm(subject),),
        value=values.accuracy,
        sign=1,
        # 15 %, where chance is 10 %: see `values.TRAINS`.
        bound=100 * values.TRAINS,
        margin=2.0,
    ),
    image(
        "smallest normalization batch",
        can="keeps its accuracy down to a normalization batch of 2",
        cannot="does not keep its accuracy down to a normalization batch of 2",
        measured="the smallest of 1 to 64 from which on all are within 5 points of 64; "
        "where no sample depends on another, which is measured below, "
        "one cell stands for every batch",
        unit="samples",
        arms=_all_sizes,
        value=values.smallest_batch,
        # Norms with and without ghost batches ran other sizes: only shared ones compare.
        against=values.smaller_batch,
        sign=-1,
        # Between 2 and 4 samples.
        bound=log2(2.8),
        margin=1.0,
        log=True,
    ),
    image(
        "normalization batch 2",
        can="loses less than 5 points at a normalization batch of 2",
        cannot="loses more than 5 points at a normalization batch of 2",
        measured="accuracy at 64 minus accuracy at 2",
        unit="points",
        arms=_two,
        value=values.batch_cost(2),
        sign=-1,
        bound=5.0,
        margin=2.5,
    ),
    image(
        "learning rates",
        can="trains well over more than a decade of learning rates",
        cannot="trains well over no more than a decade of learning rates",
        measured=f"decades of {RATES[0]:g} to {RATES[-1]:g} within 5 points of the best rate",
        unit="decades",
        arms=lambda subject: tuple(battery.rate_arm(subject, rate) for rate in RATES),
        value=values.decades(battery.rate_arm, RATES, 0.5),
        sign=1,
        # Between two and three rates, half a decade apart each.
        bound=1.25,
        margin=0.5,
    ),
    image(
        "initial gains",
        can="trains well over three decades of initial gain or more",
        cannot="trains well over fewer than three decades of initial gain",
        measured=f"decades of {GAINS[0]:g} to {GAINS[-1]:g} within 5 points of the best gain, "
        "each with its own rate",
        unit="decades",
        arms=lambda subject: tuple(battery.gain_arm(subject, gain) for gain in GAINS),
        value=values.decades(battery.gain_arm, GAINS, 1.0),
        sign=1,
        # Between two and three gains.
        bound=2.5,
        margin=1.0,
    ),
    image(
        "depth without skips",
        can="trains 20 convolutions without skips",
        cannot="does not train 20 convolutions without skips",
        measured="the deepest of 5, 10, 20, 40 up to which all reach 15 %, where chance is 10 %",
        unit="layers",
        arms=lambda subject: tuple(battery.depth_arm(subject, depth) for depth in CNN_DEPTHS),
        value=values.deepest(CNN_DEPTHS, values.cnn_trains),
        sign=1,
        # Between 10 and 20 layers.
        bound=log2(14),
        margin=1.0,
        log=True,
    ),
    Row(
        "post-norm transformer without warm-up",
        family="text",
        can="trains 6 transformer layers without warm-up when it stands after the sum",
        cannot="does not train 6 transformer layers without warm-up when it stands after the sum",
        measured="the deepest of 2, 6, 12 up to which all get 10 % below the entropy of single "
        "characters",
        unit="layers",
        arms=lambda subject: tuple(battery.text_arm(subject, depth) for depth in TEXT_DEPTHS),
        value=values.deepest(TEXT_DEPTHS, values.text_trains),
        sign=1,
        # Between 2 and 6 layers.
        bound=log2(3.5),
        margin=1.0,
        log=True,
        barred=battery.no_text,
    ),
    image(
        "domain shift",
        can="loses less than 5 points under corruptions that it was not trained with",
        cannot="loses more than 5 points under corruptions that it was not trained with",
        measured="test accuracy minus its mean over eight corruptions, nothing adapted",
        unit="points",
        arms=lambda subject: (battery.base_arm(subject),),
        value=values.shift_cost,
        sign=-1,
        bound=5.0,
        margin=2.0,
    ),
    image(
        "batches that are not i.i.d.",
        can="loses less than 5 points where each group of 8 samples shows one class",
        cannot="loses more than 5 points where each group of 8 samples shows one class",
        measured="accuracy with groups of 8 of any class minus accuracy with groups of one class",
        unit="points",
        arms=_one_class,
        value=values.one_class_cost,
        sign=-1,
        bound=5.0,
        margin=2.5,
    ),
    exact(
        "batch independence",
        can="gives a sample the same result in training whatever the other samples",
        cannot="gives a sample another result in training when the other samples change",
        measured="the largest change of a sample's output when all others are drawn anew, 20 draws",
        value=values.layer("batch_error"),
        # Rounding in float32 gives some 1e-7; the smallest real dependence lies far above.
        bound=1e-4,
    ),
    exact(
        "causal safety",
        can="shows no position the later ones",
        cannot="shows a position the later ones: not for causal models",
        measured="the largest change of the first positions' outputs when all later ones are drawn "
        "anew, 20 draws",
        value=values.layer("causal_error"),
        bound=1e-4,
        barred=_no_sequences,
    ),
    exact(
        "16-bit inputs",
        can="is right to 1 % on 16-bit inputs of very different scales",
        cannot="is wrong by more than 1 % on some 16-bit inputs",
        measured="root mean square error against float64, worst of bfloat16 and float16, "
        "scales 0.01 to 1000, means up to 10 deviations, 20 draws",
        value=values.layer("low_precision_error"),
        bound=0.01,
    ),
    image(
        "training in bfloat16",
        can="loses less than 2.5 points when trained in bfloat16",
        cannot="loses more than 2.5 points when trained in bfloat16",
        measured="accuracy in float32 minus accuracy under autocast",
        unit="points",
        arms=lambda subject: (battery.base_arm(subject), battery.bf16_arm(subject)),
        value=values.bf16_cost,
        sign=-1,
        bound=2.5,
        margin=2.5,
    ),
    _cost(MODES[0], "forward cost", "a forward pass", 10),
    _cost(MODES[1], "forward-backward cost", "a forward and backward pass", 30),
    exact(
        "foldability",
        can="is one scale and one shift per channel at evaluation, "
        "so it can be folded into the layer before it",
        cannot="is no fixed scale and shift at evaluation, "
        "so it cannot be folded into the layer before it",
        measured="the largest distance from such a map in eval mode, 20 draws, float64",
        value=values.layer("fold_error"),
        bound=1e-6,
    ),
)
