"""Failure modes of numbers: an eps that the dtype cannot carry, gains that let nothing through."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from normlab.records.verdict import REFUTED
from normlab.tools.audit.finding import Evidence, Finding
from normlab.tools.audit.subject import Subject
from normlab.tools.hooks import clear_hooks
from normlab.tools.norm_layers import FROZEN, NormLayer
from normlab.tools.replica import replica

DEAD = 1e-4  # of the layer's largest gain


def eps_too_small(subject: Subject) -> Iterator[Finding]:
    """Norms that give or send back what is not finite where their input is constant."""
    for norm in subject.norms:
        # A frozen norm divides by stored deviations, whatever the variance of its input.
        if subject.on_meta or norm.kind == FROZEN:
            continue
        x = subject.inputs.get(norm.name)
        dtype = x.dtype if x is not None else _dtype(norm)
        where = _not_finite(norm, dtype)
        if where:
            eps = "has no eps of its own" if norm.eps is None else f"eps is {norm.eps:g}"
            name = str(dtype).removeprefix("torch.")
            reason = f"{eps}: on an input of zeros in {name} {where} is not finite"
            record = Evidence("eps-low-precision", "torch in float16")
            yield Finding("eps-too-small", (norm.name,), reason, (record,))


def dead_gain(subject: Subject) -> Iterator[Finding]:
    """Channels that the gain leaves nothing of."""
    for norm in subject.norms:
        if norm.weight is None or norm.weight.is_meta:
            continue
        gain = norm.weight.detach().abs()
        largest = float(gain.max())
        # Of gains on both sides of 0, as some networks draw them, a few come near it by chance.
        limit = 0.0 if _both_signs(norm.weight) else DEAD
        dead = int((gain <= limit * largest).sum())
        reason = ""
        if largest == 0:
            reason = _dead_as_a_whole(subject, norm)
        elif dead:
            reason = (
                f"the gain of {dead} of {len(gain)} channels is at most {limit:g} of the largest, "
                f"{largest:.2g}: it folds into weights of nearly 0 beside it"
            )
        if reason:
            yield Finding("dead-gain", (norm.name,), reason, (_record_of_folding(norm),))


def _both_signs(gain: Tensor) -> bool:
    """Whether at least a tenth of the gains have the sign of the minority: none grew from 1."""
    signs = gain.detach().sign()
    fewer = min(int((signs > 0).sum()), int((signs < 0).sum()))
    return 10 * fewer >= len(signs)


def _dead_as_a_whole(subject: Subject, norm: NormLayer) -> str:
    """Why a layer whose gains are all 0 is dead, and no branch that starts at nothing; else "".

    A forward pass moves running statistics, and no gain: they do not tell the two apart. A step of
    an optimizer moves the shift together with the gain.
    """
    gain, shift = norm.weight, norm.bias
    assert gain is not None
    zeros = f"all {len(gain)} gains are 0"
    if shift is not None and bool((shift.detach() != shift.detach()[0]).any()):
        return f"{zeros} in a layer that has learned shifts: it gives these whatever its input is"
    learns = any(parameter.requires_grad for parameter in subject.model.parameters())
    if learns and isinstance(gain, nn.Parameter) and not gain.requires_grad:
        return f"{zeros} and requires_grad is False: they stay so, whatever the input is"
    return ""


def _record_of_folding(norm: NormLayer) -> Evidence:
    """What the records say of folding the gain of such a norm."""
    if norm.is_batch_norm or norm.kind == FROZEN:
        return Evidence("bn-fold-exact", "float32")
    part = "RMSNorm's gamma" if "rms" in norm.kind else "gamma and beta"
    return Evidence("ln-cannot-fold", part, REFUTED)


def _dtype(norm: NormLayer) -> torch.dtype:
    return next((p.dtype for p in norm.module.parameters() if p.is_floating_point()), torch.float32)


def _not_finite(norm: NormLayer, dtype: torch.dtype) -> str:
    """`its output` or `its gradient`; "" if both are finite, or the layer takes no such input."""
    # Audits run without gradients, too: in Lightning's evaluations in inference mode, in which not
    # even a copy or an input may be made that a backward pass is to go through.
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        layer = replica(norm.module).cpu()
        clear_hooks(layer)
        generator = torch.Generator().manual_seed(0)  # torch.manual_seed would seed the GPUs, too
        for x in _zeros(norm, dtype):
            try:
                y = layer(x)
                dy = torch.randn(y.shape, generator=generator).to(y.dtype)
                (gradient,) = torch.autograd.grad(y, x, dy)
            # Not its shape or dtype: the next one.
            except (RuntimeError, ValueError):
                continue
            if not bool(y.isfinite().all()):
                return "its output"
            return "" if bool(gradient.isfinite().all()) else "its gradient"
    return ""


def _zeros(norm: NormLayer, dtype: torch.dtype) -> Iterator[Tensor]:
    """Inputs of zeros, of each shape that the layer may take."""
    c = norm.features
    shapes: dict[str, list[tuple[int, ...]]] = {
        "NC": [(4, c)],
        "NTC": [(2, 3, c)],
        "last": [(2, 3, c)],
        "NCL": [(2, c, 3)],
        "NCHW": [(2, c, 3, 3)],
        "NCDHW": [(2, c, 3, 3, 3)],
    }
    for shape in shapes.get(norm.channels, [(2, c, 3, 3), (2, c, 3), (2, c, 3, 3, 3)]):
        yield torch.zeros(shape, dtype=dtype, requires_grad=True)
