"""The oracle: every kind written out from its formula in float64, gradients by autograd.

For tests and benchmarks only, with plain reductions. Everything is computed on (N, C, P), P the
positions of a sample, so that no line here shares a view, an axis or a kernel with the layers.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Parameters = Mapping[str, Tensor]


def reference(
    kind: str,
    x: Tensor,
    layout: str,
    parameters: Parameters,
    *,
    training: bool = True,
    running: dict[str, Tensor] | None = None,
    **options: object,
) -> Tensor:
    """What `make_norm(kind, C, layout, **options)` must give for `x`, in float64.

    Shape: x (N, C), (N, C, H, W) or (N, T, C) as `layout` says, the same out as in.

    Args:
        running: running_mean, running_var and num_batches_tracked before the call, for the kinds
            that have them; replaced by those after it in train mode.
    """
    if layout == "NC":
        maps = x.unsqueeze(2)
    elif layout == "NTC":
        maps = x.transpose(1, 2)
    else:
        maps = x.flatten(2)
    if kind in ("batchnorm", "batchrenorm", "causal_batchnorm"):
        y = _FORMULAS[kind](maps, parameters, training=training, running=running, **options)
    else:
        # Layer norm and RMSNorm take a whole image together, but each position of a sequence alone.
        y = _FORMULAS[kind](maps, parameters, whole=layout == "NCHW", **options)
    if layout == "NC":
        return y.squeeze(2)
    return y.transpose(1, 2) if layout == "NTC" else y.reshape(x.shape)


def standardize(x: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    """(x - mean) / sqrt(variance + eps), the statistics over `dims`."""
    centred = x - x.mean(dims, keepdim=True)
    return centred / (centred.pow(2).mean(dims, keepdim=True) + eps).sqrt()


def rescale(x: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    """x / sqrt(mean of x² + eps), the mean over `dims`."""
    return x / (x.pow(2).mean(dims, keepdim=True) + eps).sqrt()


def affine(x: Tensor, p: Parameters) -> Tensor:
    """weight * x + bias for each channel of x (N, C, P), or without bias where `p` has none."""
    y = x * p["weight"].view(1, -1, 1)
    return y + p["bias"].view(1, -1, 1) if "bias" in p else y


def _none(x: Tensor, p: Parameters, whole: bool) -> Tensor:
    return x


def _layernorm(x: Tensor, p: Parameters, whole: bool, eps: float = 1e-5) -> Tensor:
    return affine(standardize(x, (1, 2) if whole else (1,), eps), p)


def _channel_layernorm(x: Tensor, p: Parameters, whole: bool, eps: float = 1e-5) -> Tensor:
    return affine(standardize(x, (1,), eps), p)


def _rmsnorm(x: Tensor, p: Parameters, whole: bool, eps: float = 1e-5) -> Tensor:
    return affine(rescale(x, (1, 2) if whole else (1,), eps), p)


def _pixelnorm(x: Tensor, p: Parameters, whole: bool, eps: float = 1e-5) -> Tensor:
    return rescale(x, (1,), eps)


def _groupnorm(
    x: Tensor,
    p: Parameters,
    whole: bool,
    eps: float = 1e-5,
    num_groups: int | None = None,
    channels_per_group: int | None = None,
) -> Tensor:
    size = channels_per_group or x.shape[1] // (num_groups or 8)
    groups = [standardize(group, (1, 2), eps) for group in torch.split(x, size, dim=1)]
    return affine(torch.cat(groups, dim=1), p)


def _instancenorm(x: Tensor, p: Parameters, whole: bool, eps: float = 1e-5) -> Tensor:
    return affine(standardize(x, (2,), eps), p)


def _adain(
    x: Tensor,
    p: Parameters,
    whole: bool,
    eps: float = 1e-5,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
) -> Tensor:
    y = standardize(x, (2,), eps)
    y = y if scale is None else y * scale.unsqueeze(2)
    return y if shift is None else y + shift.unsqueeze(2)


def _frn(x: Tensor, p: Parameters, whole: bool, eps: float = 1e-5) -> Tensor:
    return torch.maximum(affine(rescale(x, (2,), eps), p), p["tau"].view(1, -1, 1))


def _dyt(x: Tensor, p: Parameters, whole: bool, alpha: float = 0.5) -> Tensor:
    return affine(torch.tanh(p["alpha"] * x), p)


def _derf(x: Tensor, p: Parameters, whole: bool, alpha: float = 0.5) -> Tensor:
    return affine(torch.erf(p["alpha"] * x + p["shift"]), p)


def _batchnorm(
    x: Tensor,
    p: Parameters,
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


def _batchrenorm(
    x: Tensor,
    p: Parameters,
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


def _causal_batchnorm(
    x: Tensor,
    p: Parameters,
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


_FORMULAS: dict[str, Callable[..., Tensor]] = {
    "none": _none,
    "batchnorm": _batchnorm,
    "layernorm": _layernorm,
    "channel_layernorm": _channel_layernorm,
    "groupnorm": _groupnorm,
    "instancenorm": _instancenorm,
    "rmsnorm": _rmsnorm,
    "pixelnorm": _pixelnorm,
    "batchrenorm": _batchrenorm,
    "causal_batchnorm": _causal_batchnorm,
    "frn": _frn,
    "adain": _adain,
    "dyt": _dyt,
    "derf": _derf,
}
