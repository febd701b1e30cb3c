"""What a batch norm does when its statistics are fixed: a scale and a shift per channel."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy

from normlab.norms.base import Norm
from normlab.norms.spec import LAYOUTS, MAP_LAYOUTS
from normlab.tools.eps import eps_of

# The numbers of dimensions of inputs that torch's take; channels are dimension 1.
_DIMS: dict[type[nn.Module], tuple[int, ...]] = {
    nn.BatchNorm1d: (2, 3),
    nn.BatchNorm2d: (4,),
    nn.BatchNorm3d: (5,),
    nn.SyncBatchNorm: (2, 3, 4, 5),
    nn.InstanceNorm1d: (3,),
    nn.InstanceNorm2d: (4,),
    nn.InstanceNorm3d: (5,),
}

_USUAL_EPS = (0.0, 1e-5)


class Kept(Exception):
    """Why a batch norm stays where it is: no error, but what a fold ends with."""


@dataclass(frozen=True)
class Affine:
    """What a batch norm computes: tail(scale * x + shift)."""

    scale: Tensor  # (C,), in float64 on the CPU, and so is the shift
    shift: Tensor
    dims: tuple[int, ...]  # of the inputs that it takes
    channels_last: bool
    tail: nn.Module | None  # an activation that the module brings along


def is_batch_norm(module: nn.Module) -> bool:
    """Whether `module` keeps running statistics, or is a batch norm of torch's without any."""
    keeps = isinstance(getattr(module, "running_mean", None), Tensor)
    return keeps or isinstance(module, _BatchNorm)


def fixed_affine(norm: nn.Module) -> Affine:
    """The scale and shift that `norm` applies in the mode that it is in.

    Its class is not asked: a copy in float64 is run on random numbers, and has to give what the
    running statistics, weight, bias and eps say. So kinds that are derived from a batch norm,
    frozen ones and instance norms with running statistics count as what they compute.

    Raises:
        Kept: it computes something else.
    """
    mean, variance = getattr(norm, "running_mean", None), getattr(norm, "running_var", None)
    if not isinstance(mean, Tensor) or not isinstance(variance, Tensor):
        raise Kept("it keeps no running statistics and uses those of the batch")
    # Per position, as of causal_batchnorm, or not there yet: no scale per channel says the same.
    if is_lazy(mean) or mean.ndim != 1 or mean.shape != variance.shape:
        raise Kept("its running statistics are not one mean and one variance per channel")
    # In float64 only what computes something else differs by more than 1e-9.
    probe = copy.deepcopy(norm).cpu().double()
    eps = eps_of(norm)
    # One that stands in the code of its class, as that of transformers' frozen norms, is guessed:
    # what comes of it is checked like all else.
    for tried in _USUAL_EPS if eps is None else (eps,):
        affine = _affine(norm, probe, tried)
        if _computes(probe, affine):
            return affine
    # The most likely reason, and the one that a caller can remove.
    if norm.training:
        raise Kept("it is in training mode and uses the statistics of the batch: call eval() first")
    unknown = "" if eps is not None else ", or has an eps that is not known"
    raise Kept(f"it does more than scale and shift by its running statistics{unknown}")


def _affine(norm: nn.Module, probe: nn.Module, eps: float) -> Affine:
    """What the statistics, weight and bias say; `probe` is a copy in float64 on the CPU."""
    statistics: Any = norm
    scale = (statistics.running_var.detach().cpu().double() + eps).rsqrt()
    weight, bias = getattr(probe, "weight", None), getattr(probe, "bias", None)
    if weight is not None:
        scale = scale * weight.detach()
    shift = -statistics.running_mean.detach().cpu().double() * scale
    if bias is not None:
        shift = shift + bias.detach()
    # Torch's batch norms have channels in dimension 1, ours where their layout says.
    last = isinstance(norm, Norm) and norm.layout not in MAP_LAYOUTS
    return Affine(scale, shift, _dims(norm), channels_last=last, tail=_tail(norm))


def _dims(norm: nn.Module) -> tuple[int, ...]:
    if isinstance(norm, Norm):
        return (LAYOUTS[norm.layout],)
    # Others, frozen batch norms above all, take maps.
    return next((dims for cls, dims in _DIMS.items() if isinstance(norm, cls)), (4,))


def _tail(norm: nn.Module) -> nn.Module | None:
    """timm's batch norms end with dropout and an activation."""
    tail = []
    for name in ("drop", "act"):
        layer = getattr(norm, name, None)
        if isinstance(layer, nn.Module) and not isinstance(layer, nn.Identity):
            tail.append(layer)
    if len(tail) > 1:
        return nn.Sequential(*tail)
    return tail[0] if tail else None


@torch.no_grad()
def _computes(probe: nn.Module, affine: Affine) -> bool:
    """Whether the copy `probe` gives what `affine` says, on a batch of other statistics."""
    # 3 pixels in each dimension, for the most that the norm takes.
    channels, spatial = len(affine.scale), [3] * (affine.dims[-1] - 2)
    shape = (4, *spatial, channels) if affine.channels_last else (4, channels, *spatial)
    generator = torch.Generator().manual_seed(0)
    # Deviation 3 and mean 1: a new layer's running statistics, 1 and 0, are not this batch's.
    x = torch.randn(shape, generator=generator, dtype=torch.float64).mul_(3).add_(1)
    # (C, 1, ...) beside (N, C, ...), or (C,) beside (N, ..., C).
    along = [1] * len(spatial) if not affine.channels_last else []
    expected = x * affine.scale.view(-1, *along) + affine.shift.view(-1, *along)
    if affine.tail is not None:
        expected = copy.deepcopy(affine.tail).double()(expected)
    try:
        y = probe(x)
    except Exception:  # whatever a module that is no batch norm says to such an input
        return False
    if y.shape != expected.shape:
        return False
    return bool((y - expected).abs().max() <= 1e-9 * expected.abs().max())
