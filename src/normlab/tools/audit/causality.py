"""A causal model's norms that mix positions."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from normlab.norms import KINDS
from normlab.tools.audit.finding import Evidence, Finding
from normlab.tools.audit.subject import Subject
from normlab.tools.forward_pass import by_position, call, items_of, tensors_in
from normlab.tools.norm_layers import NormLayer
from normlab.tools.replica import quiet

# Relative changes of an output: at most this much is rounding, and more than this is not.
_SAME, _OTHER = 1e-5, 1e-4


def leak(subject: Subject) -> Iterator[Finding]:
    """Outputs that change with later inputs, in a model where without these norms none does.

    Needs a sample batch of sequences, (N, T) or (N, T, C), and an output with a value per
    position that follows it. Without those, a model counts as causal if it says so, as the
    decoders of `transformers` do.
    """
    mixing = [norm for norm in subject.norms if _mixes(norm)]
    if not mixing:
        return
    names = tuple(norm.name for norm in mixing)
    evidence = (Evidence("bn-causal-leak", "one sample"), Evidence("bn-causal-leak", "evaluation"))
    change = _change_by_later(subject, mixing)
    # No batch to show it by; KINDS knows that these norms mix positions.
    if change is None and _says_causal(subject.model):
        reason = (
            "in training these layers normalize over positions, "
            "and the model's class or configuration says that it is causal"
        )
        yield Finding("leak", names, reason, evidence)
    if change is not None and change > _OTHER:
        reason = (
            "with other inputs in the second half of the sequences, outputs of the first half "
            f"change by {change:.2g} of their largest in train mode, "
            "and not at all with these layers left out"
        )
        yield Finding("leak", names, reason, evidence)


def _mixes(norm: NormLayer) -> bool:
    return norm.kind in KINDS and not KINDS[norm.kind].causal_safe


def _says_causal(model: nn.Module) -> bool:
    decoder = getattr(getattr(model, "config", None), "is_decoder", False) is True
    ours = getattr(model, "modality", None) == "text"
    return decoder or ours or type(model).__name__.endswith(("ForCausalLM", "LMHeadModel"))


class _Perturbed(NamedTuple):
    """A batch of sequences of `length`, and the same with other values from the middle on."""

    batch: Any
    changed: Any
    length: int


class _Change(NamedTuple):
    """Of the outputs before and after the middle, relative to their largest."""

    before: float
    after: float


def _change_by_later(subject: Subject, mixing: list[NormLayer]) -> float | None:
    """How far the first half of the outputs follows the second half of the inputs.

    0 in a model that is not causal without the norms either; None if the sample batch shows
    nothing.
    """
    batches = _perturbed(subject.sample_batch)
    if batches is None:
        return None
    _ = subject.inputs  # raises, with a sentence, where the model cannot be called
    model = subject.copy()
    norms = [model.get_submodule(norm.names[0]) for norm in mixing]
    # First without the norms, in eval mode: what follows later inputs then is not their doing.
    hooks = [norm.register_forward_hook(_give_input, with_kwargs=True) for norm in norms]
    without = _change(model, batches)
    for hook in hooks:
        hook.remove()
    # Written so that NaN, which is neither above nor below a limit, shows nothing.
    if without is None or not without.after > _OTHER:
        return None
    # Earlier outputs follow later inputs anyway: attention without a mask, say.
    if not without.before <= _SAME:
        return 0.0
    for norm in norms:
        # Only the norms: dropout, for one, would differ between the two passes.
        norm.train()
    change = _change(model, batches)
    return None if change is None else change.before


def _give_input(module: nn.Module, args: Any, keywords: Any, output: Any) -> Any:
    """A hook that leaves a norm out."""
    positional, _ = by_position(module, args, keywords)
    return positional[0] if positional else output


def _change(model: nn.Module, batches: _Perturbed) -> _Change | None:
    """How far the outputs change between the two batches; None if that cannot be seen."""
    outputs = []
    for batch in (batches.batch, batches.changed):
        try:
            with quiet(model):  # both times from the same random state
                y = _by_position(call(model, batch), batches.length)
        except Exception:  # a norm that refuses its input, in train mode or in the pass before
            return None
        if y is None:
            return None
        outputs.append(y)
    # Where the input's values say how long an output is, positions are not the input's.
    if outputs[0].shape != outputs[1].shape:
        return None
    gap, scale = (outputs[0] - outputs[1]).abs(), float(outputs[0].abs().max())
    # Of zeros, as a head that starts at zero gives them, there is nothing to see.
    if not scale:
        return None
    half = batches.length // 2
    return _Change(float(gap[:half].max()) / scale, float(gap[half:].max()) / scale)


def _by_position(output: Any, length: int) -> Tensor | None:
    """(T, ...): the first tensor of an output that has a value per position.

    Beside labels, that is not the loss.
    """
    for tensor in tensors_in(output):
        # Axis 0 is the batch, which may have the same length.
        for axis in range(1, tensor.ndim):
            if tensor.shape[axis] == length:
                return tensor.float().movedim(axis, 0)
    return None


def _perturbed(batch: Any) -> _Perturbed | None:
    """None if there is no sequence in the batch, as tokens or as vectors."""
    for index, x in enumerate(items_of(batch)):
        tokens = isinstance(x, Tensor) and x.ndim == 2 and x.dtype == torch.long
        vectors = isinstance(x, Tensor) and x.ndim == 3 and x.is_floating_point()
        if not (tokens or vectors) or x.shape[1] < 2:
            continue
        half = x.shape[1] // 2
        other = x.clone()
        if tokens:  # those that occur are tokens that the model knows
            other[:, half:] = (x[:, half:] + 1) % (int(x.max()) + 1)
        else:
            # Another order, scale and mean: some statistic of the positions changes for any norm.
            other[:, half:] = x[:, half:].flip(1).mul(2).add(1)
        return _Perturbed(batch, _with_item(batch, index, other), x.shape[1])
    return None


def _with_item(batch: Any, index: int, item: Tensor) -> Any:
    """`batch` with another item in the place `index`."""
    if isinstance(batch, Mapping):
        return {**batch, list(batch)[index]: item}
    if isinstance(batch, tuple | list):
        return tuple([*batch[:index], item, *batch[index + 1 :]])
    return item
