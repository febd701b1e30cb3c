"""The formulas of norms over the batch, for the oracle; x is (N, C, P), P positions of a sample.

`running` are the running statistics before the call, replaced by those after it in train mode.
"""

import torch
from torch import Tensor

from normlab.norms.formula_terms import Parameters, affine, standardize


def batchnorm(
    x: Tensor,
    p: Parameters,
    *,
    training: bool,
    running: dict[str, Tensor],
    eps: float = 1e-5,
    momentum: float | None = 0.1,
    ghost_batch: int | None = None,
    statistics: str = "running",
    frozen: bool = False,
) -> Tensor:
    if frozen or (not training and statistics == "running"):
        return affine(_by_running(x, running, eps), p)
    size = ghost_batch or len(x)
    if not training and statistics == "instance":
        size = 1
    groups = torch.split(x, size)
    if training:
        _update(running, groups, momentum)
    normalized = [standardize(group, (0, 2), eps) for group in groups]
    return affine(torch.cat(normalized), p)


def batchrenorm(
    x: Tensor,
    p: Parameters,
    *,
    training: bool,
    running: dict[str, Tensor],
    eps: float = 1e-5,
    momentum: float | None = 0.1,
    ghost_batch: int | None = None,
    r_max: float = 3.0,
    d_max: float = 5.0,
    warmup_steps: int = 100,
) -> Tensor:
    if not training:
        return affine(_by_running(x, running, eps), p)
    done = min(1.0, int(running["num_batches_tracked"]) / warmup_steps) if warmup_steps else 1.0
    r_limit, d_limit = 1 + (r_max - 1) * done, d_max * done
    sigma = (running["running_var"] + eps).sqrt().view(1, -1, 1)
    mu = running["running_mean"].view(1, -1, 1)
    groups = torch.split(x, ghost_batch or len(x))
    outputs = []
    for group in groups:
        mean = group.mean((0, 2), keepdim=True)
        deviation = ((group - mean).pow(2).mean((0, 2), keepdim=True) + eps).sqrt()
        r = (deviation / sigma).clamp(1 / r_limit, r_limit).detach()
        d = ((mean - mu) / sigma).clamp(-d_limit, d_limit).detach()
        outputs.append((group - mean) / deviation * r + d)
    _update(running, groups, momentum)
    return affine(torch.cat(outputs), p)


def causal_batchnorm(
    x: Tensor,
    p: Parameters,
    *,
    training: bool,
    running: dict[str, Tensor],
    eps: float = 1e-5,
    momentum: float | None = 0.1,
    statistics: str = "position",
    max_positions: int = 1024,
) -> Tensor:
    """One position after the other; running statistics have a row for each of max_positions."""
    outputs = []
    for t in range(x.shape[2]):
        row = {name: tensor[t] for name, tensor in running.items()}
        now = x[:, :, t : t + 1]
        if not training:
            outputs.append(_by_running(now, row, eps))
            continue
        seen = now if statistics == "position" else x[:, :, : t + 1]
        mean = seen.mean((0, 2), keepdim=True)
        variance = (seen - mean).pow(2).mean((0, 2), keepdim=True)
        outputs.append((now - mean) / (variance + eps).sqrt())
        _update(row, (seen,), momentum)
        index = torch.tensor([t], device=x.device)
        for name, value in row.items():
            running[name] = running[name].index_copy(0, index, value.unsqueeze(0))
    return affine(torch.cat(outputs, dim=2), p)


def _by_running(x: Tensor, running: Parameters, eps: float) -> Tensor:
    mean, variance = running["running_mean"].view(1, -1, 1), running["running_var"].view(1, -1, 1)
    return (x - mean) / (variance + eps).sqrt()


@torch.no_grad()
def _update(running: dict[str, Tensor], groups: tuple[Tensor, ...], momentum: float | None) -> None:
    """One update a step, with the groups' means and unbiased variances, weighted by samples."""
    total = sum(len(group) for group in groups)
    mean, variance = torch.zeros(()), torch.zeros(())
    for group in groups:
        values = len(group) * group.shape[2]
        group_mean = group.mean((0, 2), keepdim=True)
        mean = mean + len(group) / total * group_mean.flatten()
        squares = (group - group_mean).pow(2).sum((0, 2))
        variance = variance + len(group) / total * squares / (values - 1)
    running["num_batches_tracked"] = running["num_batches_tracked"] + 1
    share = 1 / int(running["num_batches_tracked"]) if momentum is None else momentum
    running["running_mean"] = (1 - share) * running["running_mean"] + share * mean
    running["running_var"] = (1 - share) * running["running_var"] + share * variance
