"""The battery: which trials a norm goes through.

Small nets, a second a trial, so that each cell affords five seeds. The cells are those of the
claims bn-batch-below-16, bn-lr-5-10x, bn-init-insensitive, bn-deeper-nets, domain-shift-hurts-bn,
bn-noniid-batches and postln-12-layers-warmup, made smaller; each cell tunes its own learning rate
but those of the learning-rate range. What is changed here changes the keys of every recorded score.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Protocol
from normlab.claims.looks import Looks
from normlab.score.subject import Subject
from normlab.score.trials import cost, layer

TRIALS = Path(layer.__file__).parent  # what measures a layer directly, for the engine
PROFILES = ("smoke", "quick", "quick-embedded")

SGD_BATCH = 64
GHOSTS = (1, 2, 4, 8, 16)  # normalization batches below the SGD batch
# Those of a norm that has no ghost batches: true batches, and so many times more forward passes.
ACCUMULATED = (2, 8)
RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
GAINS = (0.01, 0.1, 1.0, 10.0, 100.0)
CNN_DEPTHS = (5, 10, 20, 40)
TEXT_DEPTHS = (2, 6, 12)
GROUP = 8  # samples of one class that follow each other, in batches that are not i.i.d.

_CNN = ("model=plaincnn", "model.depth=5")


def sizes(subject: Subject) -> tuple[int, ...]:
    """Normalization batches below the SGD batch; () for a norm that none of them changes."""
    # One cell stands for every batch: no other sample plays a part in its result.
    if not subject.spec.batch_dependent:
        return ()
    return GHOSTS if _has_ghosts(subject) else ACCUMULATED


def _has_ghosts(subject: Subject) -> bool:
    return subject.kind != "custom" and "ghost_batch" in subject.spec.options


def _over(subject: Subject, n: int) -> tuple[str, ...]:
    """The norm with statistics over n samples, in SGD batches of 64."""
    # So that the arm of a group of samples is the plain one for such a norm.
    if not subject.spec.batch_dependent:
        return subject.overrides
    if _has_ghosts(subject):
        return (*subject.overrides, f"norm.ghost_batch={n}")
    # True batches, whose gradients are summed to the same SGD batch: as many samples a step.
    return (*subject.overrides, f"data.batch_size={n}", f"trainer.accumulate={SGD_BATCH // n}")


def base_arm(subject: Subject) -> Arm:
    """Five convolutions, statistics over the SGD batch; put under corruptions once trained."""
    return Arm(subject.name, (*_CNN, *subject.overrides), evaluations=("corruptions",))


def batch_arm(subject: Subject, n: int) -> Arm:
    """Statistics over n samples; the base arm where n is the SGD batch, or makes no difference."""
    if n == SGD_BATCH or not subject.spec.batch_dependent:
        return base_arm(subject)
    return Arm(f"{subject.name}, normalization batch {n}", (*_CNN, *_over(subject, n)))


def rate_arm(subject: Subject, rate: float) -> Arm:
    """At a learning rate that is not tuned."""
    overrides = (*_CNN, *subject.overrides, f"optim.lr={rate:g}")
    return Arm(f"{subject.name}, rate {rate:g}", overrides, tune=False)


def gain_arm(subject: Subject, gain: float) -> Arm:
    """Initial weights `gain` times as large; the base arm at 1."""
    if gain == 1:
        return base_arm(subject)
    overrides = (*_CNN, *subject.overrides, f"model.init_gain={gain:g}")
    return Arm(f"{subject.name}, gain {gain:g}", overrides)


def depth_arm(subject: Subject, depth: int) -> Arm:
    """`depth` convolutions without skips; the base arm at the smallest depth."""
    if depth == CNN_DEPTHS[0]:
        return base_arm(subject)
    overrides = ("model=plaincnn", f"model.depth={depth}", *subject.overrides)
    return Arm(f"{subject.name}, depth {depth}", overrides)


def one_class_arm(subject: Subject) -> Arm:
    """Every group of 8 samples shows one class.

    Where statistics are over samples, they are over such a group.
    """
    groups = (f"data.group_size={GROUP}", "data.group_classes=1")
    return Arm(f"{subject.name}, one class in {GROUP}", (*_CNN, *_over(subject, GROUP), *groups))


def bf16_arm(subject: Subject) -> Arm:
    """Trained under autocast to bfloat16."""
    return Arm(f"{subject.name}, bfloat16", (*_CNN, *subject.overrides, "trainer.precision=bf16"))


def text_arm(subject: Subject, depth: int) -> Arm:
    """A causal transformer of `depth` blocks with the norm after each sum."""
    return Arm(f"{subject.name}, post, {depth}", (*subject.overrides, f"model.depth={depth}"))


def layer_arm(subject: Subject) -> Arm:
    """What is measured on the layer itself."""
    return Arm(subject.name, options={"norm": subject.measured})


def cost_arm(subject: Subject, baseline: Subject | None) -> Arm:
    """Against a copy of the input, or against another norm."""
    name = "a copy" if baseline is None else baseline.name
    other = cost.COPY if baseline is None else baseline.measured
    options = {"norm": subject.measured, "baseline": other}
    return Arm(f"{subject.name} beside {name}", options=options)


def image_arms(subject: Subject) -> tuple[Arm, ...]:
    """Every cell with images."""
    return (
        base_arm(subject),
        *(batch_arm(subject, n) for n in sizes(subject)),
        *(rate_arm(subject, rate) for rate in RATES),
        # The base arm is gain 1, depth 5 and batch 64 at once, and runs one time.
        *(gain_arm(subject, gain) for gain in GAINS if gain != 1),
        *(depth_arm(subject, depth) for depth in CNN_DEPTHS[1:]),
        one_class_arm(subject),
        bf16_arm(subject),
    )


def text_arms(subject: Subject) -> tuple[Arm, ...]:
    """Every cell with text."""
    return tuple(text_arm(subject, depth) for depth in TEXT_DEPTHS)


def no_images(subject: Subject) -> str:
    """Why the norm cannot enter the cells with images, "" if it can."""
    return "" if "NCHW" in subject.spec.layouts else "it takes no images (N, C, H, W)"


def no_text(subject: Subject) -> str:
    """Why the norm cannot enter the transformers, "" if it can."""
    if "NTC" not in subject.spec.layouts:
        return "it takes no sequences (N, T, C)"
    if not subject.spec.causal_safe:
        return "it mixes positions, which would show a causal model the future"
    return ""


SEEDS = Looks((5,))  # a score is no claim: one look
# 16 wide, so that a group of groupnorm has more than one channel. The widths before it, and the
# options that a later one replaces, are in the keys of recorded scores.
_TINY = ("data.image_size=8", "data.crop_padding=2", "model.width=8", "model.width=16")
_CIFAR = (
    *("data=cifar10", "data.subset=5000", "data.eval_subset=2000", "data.image_size=16"),
    *("data.batch_size=64", "trainer.max_epochs=2", *_TINY),
)
_DIGITS = ("data=digits", "data.batch_size=64", "trainer.max_epochs=6", *_TINY)
# As wide as 8 groups need; of fewer digits some class would be too few for a group.
_SMOKE = (
    *("data=digits", "data.subset=600", "data.batch_size=64"),
    *("model.width=8", "trainer.max_steps=2"),
)
_POST = ("model.init=xavier", "data.batch_size=16", "model.placement=post", "optim.warmup=0")
_TINY_TEXT = ("data.subset=2000", "data.eval_subset=200", "trainer.max_steps=2")


def _text(data: str, tested: int, *, context: int, width: int, steps: int) -> tuple[str, ...]:
    return (
        *("model=transformer", f"data={data}", f"data.context={context}"),
        *(f"data.eval_subset={tested}", f"model.width={width}", "model.num_heads=2"),
        *(f"trainer.max_steps={steps}", "optim.weight_decay=0", *_POST),
    )


def _protocols() -> dict[str, dict[str, Protocol]]:
    """By kind of cell, then by profile. Under smoke nothing is tuned."""
    # Rates a factor of 3 apart: with a factor of 5 the only rate at which dyt trains fell between
    # two, and this was changed before the records that are kept were made.
    rates, text_rates, once = (0.03, 0.1, 0.3), (0.001, 0.003, 0.01), Looks((1,))
    shakespeare = _text("tiny_shakespeare", 32768, context=32, width=32, steps=200)
    pydoc = _text("pydoc", 20000, context=32, width=32, steps=200)
    tiny = (*_text("pydoc", 200, context=8, width=8, steps=2), *_TINY_TEXT)
    families = {
        "images": {
            "smoke": Protocol(_SMOKE, looks=once, extend=False, seconds_per_trial=0.2),
            "quick": Protocol(_CIFAR, {}, SEEDS, rates, seconds_per_trial=0.5),
            "quick-embedded": Protocol(_DIGITS, {}, SEEDS, rates, seconds_per_trial=0.8),
        },
        "text": {
            "smoke": Protocol(tiny, looks=once, seconds_per_trial=0.2),
            "quick": Protocol(shakespeare, {}, SEEDS, text_rates, seconds_per_trial=2.5),
            "quick-embedded": Protocol(pydoc, {}, SEEDS, text_rates, seconds_per_trial=2.5),
        },
    }
    for claim in (layer.CLAIM, cost.CLAIM):
        families[claim.slug] = dict(claim.protocols)
    for family, protocols in families.items():
        # What is measured on a layer needs no data, so that it is the same without them.
        protocols.setdefault("quick-embedded", protocols["quick"])
        families[family] = {name: protocols[name] for name in PROFILES}
    return families


PROTOCOLS = _protocols()


def trained_claim(subject: Subject, family: str, arms: Sequence[Arm]) -> Claim:
    """The cells of `images` or `text` for one norm; its records lie in a file of the norm's own."""
    return Claim(
        slug=f"{subject.slug}-{family}",
        statement=f"{subject.name} in small nets on {family}.",
        documents=(),
        source="",
        prediction="",
        clauses=(),
        answers=Answers("", ""),
        arms=tuple(arms),
        protocols=PROTOCOLS[family],
        tuning_metric="val_loss" if family == "text" else "val_accuracy",
        first_seed=0,
    )


def battery(subject: Subject, references: Sequence[Subject], timed: bool = True) -> list[Claim]:
    """What has to be run for `subject` and its references, in this order; if `timed`, cost last."""
    norms = (subject, *references)
    arms = tuple(layer_arm(norm) for norm in norms)
    claims = [replace(layer.CLAIM, arms=arms, protocols=PROTOCOLS["layer"])]
    for norm in norms:
        if not no_images(norm):
            claims.append(trained_claim(norm, "images", image_arms(norm)))
        if not no_text(norm):
            claims.append(trained_claim(norm, "text", text_arms(norm)))
    if timed:
        claims.append(_cost_claim(subject, references))
    return claims


def _cost_claim(subject: Subject, references: Sequence[Subject]) -> Claim:
    """Every norm beside a copy, and the subject beside those that share a layout with it."""
    arms = [cost_arm(norm, None) for norm in (subject, *references)]
    for reference in references:
        # Timed on one input, which both have to take.
        if set(reference.spec.layouts) & set(subject.spec.layouts):
            arms.append(cost_arm(subject, reference))
    return replace(cost.CLAIM, arms=tuple(arms), protocols=PROTOCOLS["cost"])
