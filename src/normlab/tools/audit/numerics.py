"""Failure modes of numbers: an eps that the dtype cannot carry, gains that let nothing through."""

from collections.abc import Iterator

import torch
from torch import Tensor

from normlab.records.verdict import REFUTED
from normlab.tools.audit.finding import Evidence, Finding
from normlab.tools.audit.subject import Subject, replica
from normlab.tools.hooks import clear_hooks
from normlab.tools.norm_layers import FROZEN, NormLayer

DEAD = 1e-4  # of the layer's largest gain


def eps_too_small(subject: Subject) -> Iterator[Finding]:
    """Norms that give or send back what is not finite where their input is constant."""
    for norm in subject.norms:
        if subject.on_meta or norm.kind == FROZEN:
            continue
        x = subject.inputs.get(norm.name)
        dtype = x.dtype if x is not None else _dtype(norm)
        where = _not_finite(norm, dtype)
        if where:
            eps = getattr(norm.module, "eps", getattr(norm.module, "variance_epsilon", None))
            yield Finding(
                "eps-too-small",
                (norm.name,),
                f"eps is {eps}: on an input of zeros in {str(dtype).removeprefix('torch.')} {where} is not finite",
                (Evidence("eps-low-precision", "torch in float16"),),
            )


def dead_gain(subject: Subject) -> Iterator[Finding]:
    """Channels that the gain leaves nothing of."""
    for norm in subject.norms:
        if norm.weight is None or norm.weight.is_meta:
            continue
        gain = norm.weight.detach().abs()
        largest = float(gain.max())
        dead = int((gain <= DEAD * largest).sum())
        tracked = getattr(norm.module, "num_batches_tracked", None)
        if largest == 0 and (tracked is None or int(tracked.sum()) == 0):
            continue  # a branch that starts at nothing, and learns
        if dead:
            record = Evidence(
                "ln-cannot-fold",
                "RMSNorm's gamma" if "rms" in norm.kind else "gamma and beta",
                REFUTED,
            )
            if norm.is_batch_norm or norm.kind == FROZEN:
                record = Evidence("bn-fold-exact", "float32")
            yield Finding(
                "dead-gain",
                (norm.name,),
                f"the gain of {dead} of {len(gain)} channels is below {DEAD:g} of the largest, {largest:.2g}: it folds "
                "into weights of nearly 0 beside it",
                (record,),
            )


def _dtype(norm: NormLayer) -> torch.dtype:
    return next((p.dtype for p in norm.module.parameters() if p.is_floating_point()), torch.float32)


def _not_finite(norm: NormLayer, dtype: torch.dtype) -> str:
    """`its output` or `its gradient`, or nothing where both are finite or the layer takes no such input."""
    layer = replica(norm.module).cpu()
    clear_hooks(layer)
    generator = torch.Generator().manual_seed(0)  # torch.manual_seed would seed the GPUs, too
    for x in _zeros(norm, dtype):
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            try:
                y = layer(x)
                (gradient,) = torch.autograd.grad(
                    y, x, torch.randn(y.shape, generator=generator).to(y.dtype)
                )
            except (RuntimeError, ValueError):
                continue
        if not bool(y.isfinite().all()):
            return "its output"
        return "" if bool(gradient.isfinite().all()) else "its gradient"
    return ""


def _zeros(norm: NormLayer, dtype: torch.dtype) -> Iterator[Tensor]:
    c = norm.features
    shapes: dict[str, list[tuple[int, ...]]] = {
        "NC": [(4, c)],
        "NTC": [(2, 3, c)],
        "last": [(2, 3, c)],
        "NCHW": [(2, c, 3, 3)],
    }
    for shape in shapes.get(norm.channels, [(2, c, 3, 3), (2, c, 3), (2, c, 3, 3, 3)]):
        yield torch.zeros(shape, dtype=dtype, requires_grad=True)
