"""Recorded trials of several norms that are made up, under the arms of the battery."""

from types import SimpleNamespace

from normlab.records.record import Record
from normlab.score.recorded import FAMILIES, Recorded

DEVICE = "cpu (x86_64, 1 thread)"


class MadeUp(Recorded):
    """`cells`: by family and arm, the metrics of each seed."""

    def __init__(self, norms, cells, profile="quick", device=DEVICE):
        self.norms, self.profile = tuple(norms), profile
        self.store = SimpleNamespace(folder=None)
        self.protocols = dict.fromkeys(FAMILIES, "quick")
        self.devices = dict.fromkeys(FAMILIES, device)
        self._found = {
            family: {
                arm: {seed: record(seed, metrics, device) for seed, metrics in enumerate(seeds)}
                for arm, seeds in cells.get(family, {}).items()
            }
            for family in FAMILIES
        }

    def stale(self, norm):
        return ()


def record(seed, metrics, device):
    data = {"name": "made up"}
    return Record("", {}, seed=seed, status="ok", metrics=metrics, device=device, data=data)


def accuracies(*values):
    """Of each seed, in per cent; under corruptions 3 points less."""
    return [{"test_accuracy": v / 100, "corrupted_accuracy": (v - 3) / 100} for v in values]


def near(mean):
    """Five seeds about `mean`, with a deviation of half a point."""
    return accuracies(*(mean + step for step in (-0.6, -0.3, 0.0, 0.3, 0.6)))


def draws(error):
    """Twenty draws of a layer, all errors alike."""
    names = ("batch_error", "causal_error", "low_precision_error", "fold_error")
    return [dict.fromkeys(names, error)] * 20


def times(forward, both=None):
    """Five ratios near these."""
    return [
        {"forward_ratio": forward * by, "forward_backward_ratio": (both or forward) * by}
        for by in (0.99, 1.0, 1.0, 1.0, 1.01)
    ]
