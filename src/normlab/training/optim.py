"""Optimizers with parameter groups by role, and the learning-rate schedule."""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from normlab.config.schema import OPTIM_CONFIGS, AdamWConfig, Decay, OptimConfig, SGDConfig
from normlab.errors import NormLabError, choices


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
    """SGD or AdamW; weight decay on matrices only, whatever the norm.

    Fused: one call per step, on the CPU too.

    Raises:
        NormLabError: unknown optimizer, learning rate or decay below zero.
    """
    if not cfg.lr > 0:
        raise NormLabError(f"optim.lr={cfg.lr}: give a learning rate above 0.")
    if cfg.weight_decay < 0:
        raise NormLabError(f"optim.weight_decay={cfg.weight_decay}: give 0 or more.")
    groups = [
        {"params": parameters, "weight_decay": cfg.weight_decay if role == "matrix" else 0.0}
        for role, parameters in parameters_by_role(model).items()
        if parameters
    ]
    if isinstance(cfg, SGDConfig):
        # torch refuses nesterov without momentum, and it would change nothing.
        nesterov = cfg.nesterov and cfg.momentum > 0
        return torch.optim.SGD(
            groups, lr=cfg.lr, momentum=cfg.momentum, nesterov=nesterov, fused=True
        )
    if isinstance(cfg, AdamWConfig):
        return torch.optim.AdamW(groups, lr=cfg.lr, betas=(cfg.beta1, cfg.beta2), fused=True)
    raise choices("optimizer", cfg.name, OPTIM_CONFIGS)


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
