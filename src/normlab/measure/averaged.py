"""Averages of the weights of a training, with three sorts of buffers."""

import copy
from dataclasses import dataclass

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from normlab.training.evaluations.reevaluation import large_batches
from normlab.training.running_statistics import re_estimate
from normlab.training.setup import Setup

LARGE = 500  # samples of a batch that statistics are estimated anew from


@dataclass(frozen=True)
class Averages:
    """Of one training: the network at its end, and its averaged weights with three sorts of
    buffers.

    last_buffers: those of the training's end. averaged_buffers: averaged as the weights are.
    re_estimated: of an epoch of training batches, under the averaged weights.
    """

    last_weights: nn.Module
    last_buffers: nn.Module
    averaged_buffers: nn.Module
    re_estimated: nn.Module


def train_averaged(setup: Setup, decay: float | None = None, snapshots: int = 16) -> Averages:
    """Train the network of `setup` to its end, and average its weights w_t by torch's own tool.

    decay None: the plain mean of `snapshots` networks, equally far apart in the second half of the
    training, the last one among them (stochastic weight averaging, Izmailov et al. 2018). Else the
    exponential moving average m <- decay m + (1 - decay) w_t after every step.
    """
    first = setup.steps // 2 if decay is None else 0
    apart = max(1, (setup.steps - first) // snapshots) if decay is None else 1
    average = None if decay is None else get_ema_multi_avg_fn(decay)
    # In one training: the two differ in nothing but their buffers.
    weights = AveragedModel(setup.model, multi_avg_fn=average)
    both = AveragedModel(setup.model, multi_avg_fn=average, use_buffers=True)
    done = setup.steps - apart * ((setup.steps - first) // apart)
    if done:
        setup.train(0, done)
    while done < setup.steps:
        setup.train(done, done + apart)
        done += apart
        weights.update_parameters(setup.model)
        both.update_parameters(setup.model)
    last, averaged = weights.module, both.module
    assert isinstance(last, nn.Module) and isinstance(averaged, nn.Module)
    anew = copy.deepcopy(last)
    re_estimate(anew, large_batches(setup.data, LARGE))
    return Averages(setup.model.eval(), last.eval(), averaged.eval(), anew.eval())
