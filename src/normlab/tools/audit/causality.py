"""A causal model's norms that mix positions."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from normlab.norms import KINDS
from normlab.tools.audit.finding import Evidence, Finding
from normlab.tools.audit.subject import Subject, quiet
from normlab.tools.forward_pass import call
from normlab.tools.norm_layers import NormLayer

_SAME, _OTHER = 1e-5, 1e-4  # relative change of an output that is rounding, and one that is not


def leak(subject: Subject) -> Iterator[Finding]:
    """Outputs that change with later inputs, in a model where without these norms none does.

    Needs a sample batch of sequences, (N, T) or (N, T, C), and an output with a value per position that follows it.
    Without those, a model counts as causal if it says so, as the decoders of `transformers` do.
    """
    mixing = [norm for norm in subject.norms if _mixes(norm)]
    if not mixing:
        return
    names = tuple(norm.name for norm in mixing)
    evidence = (Evidence("bn-causal-leak", "one sample"), Evidence("bn-causal-leak", "evaluation"))
    change = _change_by_later(subject, mixing)
    if change is None:
        if _says_causal(subject.model):
            what = "normalize over positions, and the model's class or configuration says that it is causal"
            yield Finding("leak", names, f"in training these layers {what}", evidence)
    elif change > _OTHER:
        reason = (
            f"with other inputs in the second half of the sequences, outputs of the first half change by {change:.2g} "
            "of their largest in train mode, and not at all with these layers left out"
        )
        yield Finding("leak", names, reason, evidence)


def _mixes(norm: NormLayer) -> bool:
    return norm.kind in KINDS and not KINDS[norm.kind].causal_safe


def _says_causal(model: nn.Module) -> bool:
    decoder = getattr(getattr(model, "config", None), "is_decoder", False) is True
    ours = getattr(model, "modality", None) == "text"
    return decoder or ours or type(model).__name__.endswith(("ForCausalLM", "LMHeadModel"))


def _change_by_later(subject: Subject, mixing: list[NormLayer]) -> float | None:
    """How far the first half of the outputs follows the second half of the inputs, 0 in a model that is not causal
    without the norms either; None if the sample batch does not show it."""
    batches = _perturbed(subject.sample_batch)
    if batches is None:
        return None
    half, length, changed = batches
    _ = subject.inputs  # raises, with a sentence, where the model cannot be called
    model = subject.copy()
    norms = [model.get_submodule(norm.names[0]) for norm in mixing]

    def change() -> tuple[float, float] | None:
        """Of the outputs before and after the middle, relative to their largest."""
        ys = []
        for batch in (subject.sample_batch, changed):
            try:
                with quiet(model):  # both times from the same random state
                    y = _by_position(call(model, batch), length)
            except (
                Exception
            ):  # a norm that refuses its input in train mode, or one that ended the pass above
                return None
            if y is None:
                return None
            ys.append(y)
        gap, scale = (ys[0] - ys[1]).abs(), float(ys[0].abs().max())
        # Of zeros, as a head that starts at zero gives them, there is nothing to see.
        return (float(gap[:half].max()) / scale, float(gap[half:].max()) / scale) if scale else None

    hooks = [
        norm.register_forward_hook(lambda module, args, output: args[0] if args else output)
        for norm in norms
    ]
    without = change()
    for hook in hooks:
        hook.remove()
    # Written so that NaN, which is neither above nor below a limit, shows nothing.
    if without is None or not without[1] > _OTHER:
        return None
    if not without[0] <= _SAME:
        return 0.0
    for norm in norms:
        norm.train()
    found = change()
    return found and found[0]


def _by_position(output: Any, length: int) -> Tensor | None:
    """(T, ...): the first tensor of an output that has a value per position; beside labels, that is not the loss."""
    if isinstance(output, Tensor):
        axis = next((axis for axis in range(1, output.ndim) if output.shape[axis] == length), None)
        return None if axis is None else output.float().movedim(axis, 0)
    values = (
        output.values()
        if isinstance(output, dict)
        else output
        if isinstance(output, tuple | list)
        else ()
    )
    return next(
        (y for y in (_by_position(value, length) for value in values) if y is not None), None
    )


def _perturbed(batch: Any) -> tuple[int, int, Any] | None:
    """The middle position, the length, and the batch with other values from there on; None if there is no sequence."""
    values = list(batch.items()) if isinstance(batch, dict) else list(enumerate([batch]))
    if isinstance(batch, tuple | list):
        values = list(enumerate(batch))
    for key, x in values:
        tokens = isinstance(x, Tensor) and x.ndim == 2 and x.dtype == torch.long
        if (
            not isinstance(x, Tensor)
            or not (tokens or (x.ndim == 3 and x.is_floating_point()))
            or x.shape[1] < 2
        ):
            continue
        half = x.shape[1] // 2
        other = x.clone()
        # Tokens that occur are tokens that the model knows.
        other[:, half:] = (
            (x[:, half:] + 1) % (int(x.max()) + 1) if tokens else x[:, half:].flip(1).mul(2).add(1)
        )
        if isinstance(batch, dict):
            return half, x.shape[1], {**batch, key: other}
        if isinstance(batch, tuple | list):
            return (
                half,
                x.shape[1],
                tuple(other if index == key else value for index, value in values),
            )
        return half, x.shape[1], other
    return None
