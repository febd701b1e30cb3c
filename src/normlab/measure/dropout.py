"""Dropout beside the norms of a plain CNN, and statistics without it."""

import copy
from collections.abc import Callable

from torch import nn

from normlab.errors import NormLabError
from normlab.training.evaluations.reevaluation import large_batches
from normlab.training.running_statistics import re_estimate
from normlab.training.setup import Setup
from normlab.training.step import evaluate

Adapt = Callable[[nn.Module, tuple[int, ...]], object]
LARGE = 500  # samples of a batch that statistics are estimated anew from


def with_dropout(before: float = 0.0, after: float = 0.0, last: float = 0.0) -> Adapt:
    """Puts dropout into a CNN whose `features` are conv, norm, activation, and so on.

    Each is the share of values that are dropped: before every norm; after every activation, and so
    behind its norm and before the next convolution; after the last activation alone, behind which
    no norm follows. 0 is no layer.
    """

    def adapt(model: nn.Module, input_shape: tuple[int, ...] = ()) -> None:
        features = getattr(model, "features", None)
        if not isinstance(features, nn.Sequential) or len(features) % 3:
            raise NormLabError("dropout beside norms is for model=plaincnn.")
        layers: list[nn.Module] = []
        for index in range(0, len(features), 3):
            layers += [features[index], *_dropout(before), features[index + 1]]
            layers += [features[index + 2], *_dropout(after)]
        model.add_module("features", nn.Sequential(*layers, *_dropout(last)))

    return adapt


def _dropout(share: float) -> list[nn.Module]:
    return [nn.Dropout(share)] if share else []


def accuracy_without_dropout_in_statistics(setup: Setup) -> float:
    """Test accuracy with running statistics of an epoch of training batches in train mode, but for
    the dropout, which is off: what norms see at evaluation (Li et al. 2018)."""
    model = copy.deepcopy(setup.model)
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    re_estimate(model, large_batches(setup.data, LARGE))
    return evaluate(model, setup.data.eval_batches("test"))[1]
