"""Optimizers with parameter groups by role, and the learning-rate schedule."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from normlab.config.schema import (
    OPTIM_CONFIGS,
    AdamWConfig,
    Decay,
    DecayNorm,
    MuonConfig,
    OptimConfig,
    SGDConfig,
)
from normlab.errors import NormLabError, choices
from normlab.training.muon import MuonWithAdamW, hidden_matrices


def parameters_by_role(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Every trainable parameter under one of `matrix`, `embedding`, `bias`, `norm`.

    The role follows from the module that owns the parameter, never from its name or from the norm's
    kind: whatever belongs neither to a convolution or linear layer nor to an embedding belongs to a
    norm (gains, shifts, thresholds, DyT's alpha, and the length that weight normalisation splits
    off).
    """
    roles: dict[str, list[nn.Parameter]] = {"matrix": [], "embedding": [], "bias": [], "norm": []}
    seen: set[int] = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            # A parameter may have several owners: norms of an LSTM share theirs over time steps.
            if id(parameter) in seen or not parameter.requires_grad:
                continue
            seen.add(id(parameter))
            roles[_role(module, name, parameter)].append(parameter)
    return roles


def _role(module: nn.Module, name: str, parameter: nn.Parameter) -> str:
    if isinstance(module, nn.Embedding):
        return "embedding"
    if isinstance(module, nn.Conv2d | nn.Linear):
        return "bias" if name == "bias" else "matrix"
    # Weight normalisation splits a matrix into directions and lengths, one length an output.
    if isinstance(module, ParametrizationList) and parameter.numel() != parameter.shape[0]:
        return "matrix"
    return "norm"


def build_optimizer(cfg: OptimConfig, model: nn.Module) -> torch.optim.Optimizer:
    """SGD, AdamW or Muon; weight decay on matrices, whatever the norm, and where `decay_norm` says.

    Fused: one call per step, on the CPU too.

    Raises:
        NormLabError: unknown optimizer, learning rate or decay below zero; no norm where
            `decay_norm` wants one, no hidden matrix for Muon.
    """
    if not cfg.lr > 0:
        raise NormLabError(f"optim.lr={cfg.lr}: give a learning rate above 0.")
    if cfg.weight_decay < 0:
        raise NormLabError(f"optim.weight_decay={cfg.weight_decay}: give 0 or more.")
    roles = parameters_by_role(model)
    if isinstance(cfg, MuonConfig):
        hidden = hidden_matrices(model, roles["matrix"])
        chosen = {id(parameter) for parameter in hidden}
        roles["matrix"] = [one for one in roles["matrix"] if id(one) not in chosen]
        return MuonWithAdamW(hidden, _groups(cfg, model, roles), cfg)
    groups = _groups(cfg, model, roles)
    if isinstance(cfg, SGDConfig):
        # torch refuses nesterov without momentum, and it would change nothing.
        nesterov = cfg.nesterov and cfg.momentum > 0
        return torch.optim.SGD(
            groups, lr=cfg.lr, momentum=cfg.momentum, nesterov=nesterov, fused=True
        )
    if isinstance(cfg, AdamWConfig):
        return torch.optim.AdamW(groups, lr=cfg.lr, betas=(cfg.beta1, cfg.beta2), fused=True)
    raise choices("optimizer", cfg.name, OPTIM_CONFIGS)


def _groups(
    cfg: OptimConfig, model: nn.Module, roles: dict[str, list[nn.Parameter]]
) -> list[dict[str, Any]]:
    """The parameters of each role with the weight decay that falls on them."""
    decayed = decayed_norm_parameters(model, cfg.decay_norm)
    chosen = {id(parameter) for parameter in decayed}
    spared = [one for one in roles["norm"] if id(one) not in chosen]
    by_decay = [(roles["matrix"], cfg.weight_decay), (roles["embedding"], 0.0)]
    by_decay += [(roles["bias"], 0.0), (spared, 0.0), (decayed, cfg.weight_decay)]
    return [{"params": own, "weight_decay": decay} for own, decay in by_decay if own]


def decayed_norm_parameters(model: nn.Module, where: DecayNorm) -> list[nn.Parameter]:
    """What norms learn, of those at `where`.

    A norm is at the input if it stands before weight matrices, as the norm before a branch or the
    head of a transformer does: a matrix could take its gain in, so that it adds nothing to what the
    network can express (Wang et al. 2026, arXiv 2605.26895). Every other norm is at the output of
    matrices: after a convolution or linear layer, after a branch, of a residual sum, of queries and
    keys. The lengths of weight normalization are no norm's.

    Raises:
        NormLabError: no norm that learns anything stands there.
    """
    if where is DecayNorm.none:
        return []
    at_input: set[int] = set()
    for module in model.modules():
        for name in getattr(module, "input_norms", ()):
            norm = getattr(module, name)
            at_input |= {id(one) for one in norm.parameters()} if norm is not None else set()
    decayed: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            of_norm = _role(module, name, parameter) == "norm"
            if not of_norm or isinstance(module, ParametrizationList):
                continue
            place = DecayNorm.input if id(parameter) in at_input else DecayNorm.output
            if where in (place, DecayNorm.all) and parameter.requires_grad:
                decayed[id(parameter)] = parameter
    if not decayed:
        raise NormLabError(
            f"optim.decay_norm={where.name}: no norm of this model that learns a gain or shift "
            "stands there; choose another of none, input, output, all."
        )
    return list(decayed.values())


def learning_rate(cfg: OptimConfig, total_steps: int) -> Callable[[int], float]:
    """The learning rate of a 0-based step.

    Linear warm-up over the share `cfg.warmup` of the steps, then decay to zero.

    Raises:
        NormLabError: a warm-up outside 0..1.
    """
    if not 0 <= cfg.warmup <= 1:
        raise NormLabError(f"optim.warmup={cfg.warmup}: give the share of all steps, from 0 to 1.")
    warmup_steps = round(cfg.warmup * total_steps)

    def rate(step: int) -> float:
        if step < warmup_steps:
            # From 1 / warmup_steps on: a rate of 0 would make the first step none.
            return cfg.lr * (step + 1) / warmup_steps
        done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
        if cfg.decay is Decay.cosine:
            return cfg.lr * 0.5 * (1 + math.cos(math.pi * done))
        return cfg.lr * (1 - done) if cfg.decay is Decay.linear else cfg.lr

    return rate
