"""How often a verdict is wrong, simulated through the whole road: rates that every seed chooses
along recorded curves, noise, collapse, looks, rule.

Two arms are the same, but for a shift that puts the true effect just where a rule must say nothing:
at its threshold, or at the edge of its margin. Whatever is decided there is a false verdict, of
which a sequence of looks may give 5 %. `python scripts/false_verdicts.py` writes the table of
docs/evidence.md.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from normlab.claims import stats
from normlab.claims.looks import Looks
from normlab.claims.rules import MIN_SEEDS, AtLeast, Between, IntervalRule, Within
from normlab.claims.stats import Sample, Values
from normlab.records.verdict import INCONCLUSIVE, REFUTED, SUPPORTED

# Mean validation scores by learning rate, in standard deviations over seeds, of recorded arms of
# the first generation: BatchNorm over 2 samples, LayerNorm on images (accuracies), Pre-LN of 24
# blocks, RMSNorm (minus losses).
CURVES = (
    (19.4, 22.3, 25.6, 26.4, 23.4),
    (21.9, 25.8, 24.8, 21.1),
    (-137.2, -128.6, -126.9, -152.4),
    (-137.0, -132.5, -143.4),
)
MEASURED = 0.3  # deviation of a score around its network's own, which two splits do not share
SIZES = (5, 8, 20, 60)  # of a single look
SEQUENCE = (5, 8, 12, 20)

Noise = Callable[[np.random.Generator, tuple[int, ...]], Values]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """Standard normal."""
    return rng.standard_normal(shape)


def lognormal(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """Lognormal with a long tail upwards, of mean 0 and variance 1."""
    mean, deviation = np.exp(0.5), np.sqrt((np.e - 1) * np.e)
    values: Values = (rng.lognormal(size=shape) - mean) / deviation
    return values


def chosen(
    rng: np.random.Generator, curve: Sequence[float], shape: tuple[int, ...], noise: Noise
) -> Values:
    """Test scores of `shape`, each at the rate of `curve` that its own validation score chose."""
    means = np.asarray(curve).reshape(-1, *[1] * len(shape))
    networks = means + noise(rng, (len(curve), *shape))
    val, test = (networks + MEASURED * rng.standard_normal(networks.shape) for _ in range(2))
    best = np.argmax(val, axis=0)[None]
    scores: Values = np.take_along_axis(test, best, axis=0)[0]
    return scores


def verdicts(rule: IntervalRule, samples: Sample, sizes: tuple[int, ...]) -> NDArray[np.str_]:
    """What a whole sequence of looks comes to: (n, experiments) each -> (experiments,)."""
    looks = Looks(sizes)
    arrays = stats.samples_of(samples)
    verdict = np.full(arrays[0].shape[1], INCONCLUSIVE, dtype="U16")
    for size in sizes:
        at_look = rule.decide_all(tuple(one[:size] for one in arrays), looks.level).verdict
        verdict = np.where(np.isin(verdict, (SUPPORTED, REFUTED)), verdict, at_look)
    return verdict


@dataclass(frozen=True)
class Found:
    """The share of false verdicts in one situation."""

    situation: str
    rule: str
    looks: tuple[int, ...]
    share: float


# A rule, the true effect at which it must say nothing, and which of its words are false there.
_RULES: tuple[tuple[str, IntervalRule, float, tuple[str, ...]], ...] = (
    ("AtLeast", AtLeast(1.0), 1.0, (SUPPORTED, REFUTED)),
    ("Within", Within(1.5), 1.5, (SUPPORTED,)),
    ("Between", Between(0.9, 1.2), float(np.log(1.2)), (SUPPORTED, REFUTED)),
)


def all_looks() -> tuple[tuple[int, ...], ...]:
    """Single looks at each size, and the sequence."""
    return (*((size,) for size in SIZES), SEQUENCE)


def tuned_apart(experiments: int, noise: Noise = normal) -> Iterator[Found]:
    """Identical arms, each seed of which chooses its rate; the worst of the recorded curves."""
    words = {"normal": "normal noise", "lognormal": "lognormal noise"}[noise.__name__]
    for name, rule, effect, false in _RULES:
        for sizes in all_looks():
            shares = []
            for number, curve in enumerate(CURVES):
                rng = np.random.default_rng(number)
                a, b = (chosen(rng, curve, (sizes[-1], experiments), noise) for _ in range(2))
                scale = 0.05 if rule.log else 1.0  # of a logarithm: 5 % of a ratio
                decided = verdicts(rule, (scale * a + effect, -scale * b), sizes)
                shares.append(float(np.isin(decided, false).mean()))
            yield Found(f"identical arms tuned apart, {words}", name, sizes, max(shares))


def one_skewed(experiments: int) -> Iterator[Found]:
    """One arm has a long tail, the other does not; the tail on the worse side."""
    for sizes in all_looks():
        shares = []
        for sign in (-1, 1):
            rng = np.random.default_rng(5)
            a = sign * lognormal(rng, (sizes[-1], experiments))
            b = normal(rng, (sizes[-1], experiments))
            decided = verdicts(AtLeast(1.0), (a + 1.0, -b), sizes)
            shares.append(float((decided != INCONCLUSIVE).mean()))
        yield Found("one arm lognormal, the other normal", "AtLeast", sizes, max(shares))


def collapsing(experiments: int, *, trained: bool) -> Iterator[Found]:
    """One arm of two collapses by 40 standard deviations, with a probability of 5 to 30 %.

    trained: the mean is of those that train, else of all; either is at the rule's threshold.
    """
    which = "those that train" if trained else "all, collapsed or not"
    for sizes in all_looks():
        shares = [
            _collapse(experiments, share, sizes, trained=trained) for share in (0.05, 0.1, 0.2, 0.3)
        ]
        yield Found(f"one arm collapses, mean of {which}", "AtLeast", sizes, max(shares))


def _collapse(experiments: int, share: float, sizes: tuple[int, ...], *, trained: bool) -> float:
    rng = np.random.default_rng(6)
    a, b = (normal(rng, (sizes[-1], experiments)) for _ in range(2))
    down = rng.random(a.shape) < share
    if not trained:
        effect = 1.0 + 40 * share  # so that the mean over all seeds is at the threshold
        decided = verdicts(AtLeast(1.0), (a - 40 * down + effect, -b), sizes)
        return float((decided != INCONCLUSIVE).mean())
    verdict = np.full(experiments, INCONCLUSIVE, dtype="U16")
    for size in sizes:
        # Samples of one size are judged together.
        counts = (~down[:size]).sum(axis=0)
        for count in np.unique(counts):
            same = (counts == count) & ~np.isin(verdict, (SUPPORTED, REFUTED))
            if count >= MIN_SEEDS and same.any():
                kept = a[:size, same].T[~down[:size, same].T].reshape(-1, count).T
                sample = (kept + 1.0, -b[:size, same])
                verdict[same] = AtLeast(1.0).decide_all(sample, Looks(sizes).level).verdict
    return float((verdict != INCONCLUSIVE).mean())


def all_found(experiments: int) -> Iterator[Found]:
    """Every situation, rule and sequence."""
    yield from tuned_apart(experiments)
    yield from tuned_apart(experiments, lognormal)
    yield from one_skewed(experiments)
    yield from collapsing(experiments, trained=True)
    yield from collapsing(experiments, trained=False)


def table(found: Sequence[Found]) -> str:
    """In Markdown: a row for each situation and rule, a column for each sequence of looks."""
    heads = [", ".join(map(str, sizes)) for sizes in all_looks()]
    lines = [
        f"| two arms | rule | {' | '.join(f'looks at {head}' for head in heads)} |",
        f"| --- | --- |{' ---: |' * len(heads)}",
    ]
    rows: dict[tuple[str, str], dict[tuple[int, ...], float]] = {}
    for one in found:
        rows.setdefault((one.situation, one.rule), {})[one.looks] = one.share
    for (situation, rule), by_looks in rows.items():
        shares = " | ".join(f"{100 * by_looks[sizes]:.1f} %" for sizes in all_looks())
        lines.append(f"| {situation} | `{rule}` | {shares} |")
    return "\n".join(lines)
