"""Which numbers each setting can have, checked as soon as a configuration is composed. Torch-free.

The bounds of data are in normlab.data.options, and those of a norm's own options in its file; here
are the others, and what holds for every number: finite, and no larger than a float32 or an int32.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from normlab.config.schema import Config
from normlab.errors import NormLabError

_LARGEST_WHOLE = 2**31 - 1
_LARGEST = 1e30  # its square root and its products with a learning rate are float32 numbers still


@dataclass(frozen=True)
class Bound:
    """Numbers from `low` to `high`, None for no end of its own; `above`, `below`: without it."""

    low: float
    high: float | None = None
    above: bool = False
    below: bool = False

    def holds(self, value: float) -> bool:
        """Whether `value`, which may be NaN, lies inside."""
        enough = value > self.low if self.above else value >= self.low
        if self.high is None:
            return enough
        return enough and (value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        if self.high is not None:
            start = f"above {self.low}" if self.above else f"from {self.low}"
            return f"a number {start} to {'below ' if self.below else ''}{self.high}"
        if self.above or self.low == 1:  # of whole numbers
            return "a number above 0"
        return f"{self.low} or a number above it"


_POSITIVE = Bound(0, above=True)
_COUNT = Bound(1)
_SHARE_BELOW_1 = Bound(0, 1, below=True)

BOUNDS: Mapping[str, Bound] = {
    "seed": Bound(0, 2**64 - 1),
    "model.depth": Bound(1, 10_000),
    "model.width": Bound(1, 65_536),
    "model.init_gain": _POSITIVE,
    "model.num_heads": _COUNT,
    "model.mlp_ratio": Bound(1, 1024),
    "model.norm_gain": _POSITIVE,
    "data.image_size": Bound(1, 4096),
    "data.context": Bound(1, 65_536),
    "data.eval_context": Bound(1, 65_536),
    "optim.lr": _POSITIVE,
    "optim.weight_decay": Bound(0),
    "optim.warmup": Bound(0, 1),
    "optim.clip_norm": _POSITIVE,
    "optim.momentum": _SHARE_BELOW_1,
    "optim.beta1": _SHARE_BELOW_1,
    "optim.beta2": _SHARE_BELOW_1,
    "trainer.max_epochs": _POSITIVE,
    "trainer.max_steps": _COUNT,
    "trainer.max_samples": _COUNT,
    "trainer.accumulate": _COUNT,
    "trainer.eval_every": _COUNT,
    "trainer.chunk_steps": _COUNT,
    "trainer.threads": Bound(1, 1024),
    "trainer.devices": Bound(1, 1024),
    "trainer.timeout_s": Bound(0, 1_000_000, above=True),
    "trainer.checkpoint_every": _COUNT,
}


def check_bounds(cfg: Config) -> None:
    """Return if every number of `cfg` is one that its setting can have.

    Raises:
        NormLabError: one is not; with those that can.
    """
    for name, value in _numbers("", asdict(cfg)):
        bound = BOUNDS.get(name)
        if bound is not None and not bound.holds(value):
            raise NormLabError(f"{name}={value}: give {bound}.")
        # Without an end of its own, a number ends where those of the computation do.
        if bound is None or bound.high is None:
            _check_size(name, value)


def _check_size(name: str, value: int | float) -> None:
    largest = _LARGEST_WHOLE if isinstance(value, int) else _LARGEST
    if not abs(value) <= largest:  # nor is NaN
        raise NormLabError(f"{name}={value}: give a number up to {largest}.")


def _numbers(prefix: str, values: Mapping[str, object]) -> Iterator[tuple[str, int | float]]:
    """Every number by its key, the options of a norm as in `norm.eps`."""
    for name, value in values.items():
        key = prefix if (prefix, name) == ("norm.", "options") else f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _numbers(key if key.endswith(".") else f"{key}.", value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield key, value
