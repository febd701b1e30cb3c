"""The oracle: every kind written out from its formula in float64, gradients by autograd.

For tests and benchmarks only, with plain reductions. Everything is computed on (N, C, P), P the
positions of a sample, so that no line here shares a view, an axis or a kernel with the layers.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from normlab.norms.formula_terms import Parameters, affine, rescale, standardize
from normlab.norms.formulas_over_batch import batchnorm, batchrenorm, causal_batchnorm
from normlab.norms.spec import MAP_LAYOUTS


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

    Shape: x as `layout` says, the same out as in.

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
        y = _FORMULAS[kind](maps, parameters, whole=layout in MAP_LAYOUTS, **options)
    if layout == "NC":
        return y.squeeze(2)
    return y.transpose(1, 2) if layout == "NTC" else y.reshape(x.shape)


def _none(x: Tensor, p: Parameters, *, whole: bool) -> Tensor:
    return x


def _layernorm(x: Tensor, p: Parameters, *, whole: bool, eps: float = 1e-5) -> Tensor:
    return affine(standardize(x, (1, 2) if whole else (1,), eps), p)


def _channel_layernorm(x: Tensor, p: Parameters, *, whole: bool, eps: float = 1e-5) -> Tensor:
    return affine(standardize(x, (1,), eps), p)


def _rmsnorm(x: Tensor, p: Parameters, *, whole: bool, eps: float = 1e-5) -> Tensor:
    return affine(rescale(x, (1, 2) if whole else (1,), eps), p)


def _pixelnorm(x: Tensor, p: Parameters, *, whole: bool, eps: float = 1e-5) -> Tensor:
    return rescale(x, (1,), eps)


def _groupnorm(
    x: Tensor,
    p: Parameters,
    *,
    whole: bool,
    eps: float = 1e-5,
    num_groups: int | None = None,
    channels_per_group: int | None = None,
) -> Tensor:
    size = channels_per_group or x.shape[1] // (num_groups or 8)
    groups = [standardize(group, (1, 2), eps) for group in torch.split(x, size, dim=1)]
    return affine(torch.cat(groups, dim=1), p)


def _instancenorm(x: Tensor, p: Parameters, *, whole: bool, eps: float = 1e-5) -> Tensor:
    return affine(standardize(x, (2,), eps), p)


def _adain(
    x: Tensor,
    p: Parameters,
    *,
    whole: bool,
    eps: float = 1e-5,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
) -> Tensor:
    y = standardize(x, (2,), eps)
    y = y if scale is None else y * scale.unsqueeze(2)
    return y if shift is None else y + shift.unsqueeze(2)


def _frn(x: Tensor, p: Parameters, *, whole: bool, eps: float = 1e-5) -> Tensor:
    return torch.maximum(affine(rescale(x, (2,), eps), p), p["tau"].view(1, -1, 1))


def _dyt(x: Tensor, p: Parameters, *, whole: bool, alpha: float = 0.5) -> Tensor:
    return affine(torch.tanh(p["alpha"] * x), p)


def _derf(x: Tensor, p: Parameters, *, whole: bool, alpha: float = 0.5) -> Tensor:
    return affine(torch.erf(p["alpha"] * x + p["shift"]), p)


_FORMULAS: dict[str, Callable[..., Tensor]] = {
    "none": _none,
    "batchnorm": batchnorm,
    "layernorm": _layernorm,
    "channel_layernorm": _channel_layernorm,
    "groupnorm": _groupnorm,
    "instancenorm": _instancenorm,
    "rmsnorm": _rmsnorm,
    "pixelnorm": _pixelnorm,
    "batchrenorm": batchrenorm,
    "causal_batchnorm": causal_batchnorm,
    "frn": _frn,
    "adain": _adain,
    "dyt": _dyt,
    "derf": _derf,
}
