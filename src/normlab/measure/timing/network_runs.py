"""Other ways to run a trained network (folded, in ONNX Runtime) against the network itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from normlab.measure.timing.harness import Comparison, compare_until_valid

BATCHES = (1, 32)  # samples
ROUNDS, SECONDS = 10, 0.02  # of a timing, and the least that one side of a round lasts

Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class NetworkRun:
    """How far one way to run a network is from the network itself, and how long it takes beside it.

    largest_error: of the logits, relative to the largest logit. same_class: the share of samples of
    which both name the same class. latencies: by batch size.
    """

    name: str
    largest_error: float
    same_class: float
    latencies: Mapping[int, Comparison]


def measure_runs(trained: Run, others: Mapping[str, Run], x: Tensor) -> list[NetworkRun]:
    """Each of `others` against `trained`: errors on the batch `x`, latencies on its first ones."""
    target = trained(x)
    latencies: dict[str, dict[int, Comparison]] = {name: {} for name in others}
    for size in BATCHES:
        first = x[:size].contiguous()
        for name, run in others.items():
            latencies[name][size] = compare_until_valid(
                partial(run, first), partial(trained, first), rounds=ROUNDS, min_seconds=SECONDS
            )
    return [_run(name, run(x), target, latencies[name]) for name, run in others.items()]


def _run(name: str, y: Tensor, target: Tensor, latencies: Mapping[int, Comparison]) -> NetworkRun:
    error = float((y - target).abs().max() / target.abs().max())
    same = float((y.argmax(-1) == target.argmax(-1)).double().mean())
    return NetworkRun(name, error, same, latencies)
