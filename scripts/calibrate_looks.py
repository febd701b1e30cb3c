"""The levels of normlab.claims.looks, by simulation: python scripts/calibrate_looks.py

Prints, for each sequence of looks, the level at which a t test of one sample of normal noise is
wrong at some look in 5 % of cases: in either direction, and in one. Minutes on one core.
"""

import numpy as np
from numpy.typing import NDArray

from normlab.claims.looks import ALPHA, LEVELS
from normlab.claims.stats import p_greater

ROUNDS, SEQUENCES = 20, 100_000


def smallest_p(sizes: tuple[int, ...], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smallest one-sided p-value of all looks, of each sequence: (n, sequences) -> (...)."""
    return np.min([p_greater(noise[:size]) for size in sizes], axis=0)


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(20261129)
    for sizes in LEVELS:
        either, one = [], []
        for _ in range(ROUNDS):
            noise = rng.standard_normal((sizes[-1], SEQUENCES))
            up, down = smallest_p(sizes, noise), smallest_p(sizes, -noise)
            one.append(np.quantile(up, ALPHA))
            either.append(np.quantile(2 * np.minimum(up, down), ALPHA))
        print(f"{sizes}: Level({np.mean(either):.4f}, {np.mean(one):.4f})", flush=True)


if __name__ == "__main__":
    main()
