"""The levels of normlab.claims.looks, by simulation: python scripts/calibrate_looks.py

Prints, for each sequence of looks, the level at which a t test of normal noise is wrong at some
look in 5 % of cases: in either direction, and in one. The hardest case counts, of one sample and of
two whose standard deviations differ by the factors SPREADS (Welch's test is a little too bold
there). Minutes on one core.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from normlab.claims.looks import ALPHA, LEVELS
from normlab.claims.stats import p_greater

SPREADS = (0.0, 1.0, 2.0, 3.0, 4.0)  # 0: one sample
ROUNDS, SEQUENCES = 10, 100_000


def smallest_p(
    sizes: tuple[int, ...], noise: NDArray[np.float64], other: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """The smallest one-sided p-value of all looks, of each sequence: (n, sequences) -> (...)."""
    looks = []
    for size in sizes:
        sample = noise[:size] if other is None else (noise[:size], other[:size])
        looks.append(p_greater(sample))
    smallest: NDArray[np.float64] = np.min(looks, axis=0)
    return smallest


def levels(sizes: tuple[int, ...], spread: float) -> tuple[float, float]:
    """The two-sided and the one-sided level for two samples of which one is `spread` as noisy."""
    rng = np.random.default_rng(20261129)
    either, one = [], []
    for _ in range(ROUNDS):
        noise = rng.standard_normal((sizes[-1], SEQUENCES))
        other = spread * rng.standard_normal(noise.shape) if spread else None
        up = smallest_p(sizes, noise, other)
        down = smallest_p(sizes, -noise, None if other is None else -other)
        one.append(np.quantile(up, ALPHA))
        either.append(np.quantile(2 * np.minimum(up, down), ALPHA))
    return float(np.mean(either)), float(np.mean(one))


def main() -> None:
    """Print the table."""
    found = {(sizes, spread): levels(sizes, spread) for sizes, spread in product(LEVELS, SPREADS)}
    for sizes in LEVELS:
        all_ = [found[sizes, spread] for spread in SPREADS]
        either, one = (min(values) for values in zip(*all_, strict=True))
        print(f"{sizes}: Level({either:.4f}, {one:.4f})", flush=True)


if __name__ == "__main__":
    main()
