"""Networks by name: the norms that they have, and what a conversion makes of each network."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from normlab.errors import NormLabError
from normlab.tools.convert import Conversion, convert
from normlab.tools.forward_pass import error_in_words, training_step
from normlab.tools.norm_layers import NormLayer, find_norms
from normlab.tools.zoo import SHOWN, build_named, sample_inputs


@dataclass
class ConvertedNetwork:
    """What became of the norms of the network `model`, and whether it still takes a training step.

    norms: how many it has, None where it could not be built or converted. step: "ok", why it was
    refused or failed, or "" where nothing says what the network takes.
    """

    model: str
    norms: int | None = None
    replaced: str = ""
    left: str = ""
    notes: str = ""
    step: str = ""
    failed: bool = False

    @property
    def columns(self) -> dict[str, object]:
        """What a table shows."""
        names = ("model", "norms", "replaced", "left", "notes", "step")
        return {name: getattr(self, name) for name in names}

    def fail(self, reason: object) -> None:
        """Note that the network could not be built, converted or trained."""
        self.failed = True
        self.step = f"failed: {reason}"


def listed_norms(name: str) -> list[Mapping[str, object]]:
    """Path, class, kind, channels and eps of each norm of the network `name`.

    Raises:
        NormLabError: no such network.
    """
    return [_listed(name, norm) for norm in find_norms(build_named(name))]


def _listed(name: str, norm: NormLayer) -> dict[str, object]:
    return {
        "model": name,
        "norm": " = ".join(norm.names) or norm.name,
        "class": type(norm.module).__name__,
        "kind": norm.kind or f"not read: {norm.reason}",
        "channels": norm.features or None,
        "eps": norm.eps,
    }


def survey(
    names: Sequence[str],
    to: str,
    from_: Sequence[str] | None = None,
    layers: Sequence[str] | None = None,
) -> list[ConvertedNetwork]:
    """Each of the networks `names` converted, as `convert` does it.

    Without names, some of many families.

    Raises:
        NormLabError: an unknown kind of norm.
    """
    convert(nn.Identity(), to, from_ or None)  # an unknown kind is one sentence, not one a row
    return [convert_named(name, to, from_, layers) for name in names or SHOWN]


def convert_named(
    name: str,
    to: str,
    from_: Sequence[str] | None = None,
    layers: Sequence[str] | None = None,
) -> ConvertedNetwork:
    """The network `name`, converted, and one training step of it.

    Whatever a network raises is told in its own row, so that the rows of the others are not lost.
    Seeds the global random state with 0.
    """
    # Weights and inputs are random, and a row must not depend on those before it.
    torch.manual_seed(0)
    row = ConvertedNetwork(name)
    try:
        done = convert(build_named(name), to, from_ or None, layers or None)
        _note_norms(row, done)
        inputs = sample_inputs(name, done.model)
        if inputs is not None:
            _note_step(row, done.model, inputs)
    except NormLabError as error:
        row.fail(error)
    except Exception as error:  # whatever other people's networks raise
        row.fail(error_in_words(error))
    return row


def _note_norms(row: ConvertedNetwork, done: Conversion) -> None:
    row.norms = len(done.norms)
    row.replaced = _counted(norm.layer_class for norm in done.replaced)
    row.left = _counted(f"{norm.layer_class}: {'; '.join(norm.notes)}" for norm in done.left)
    notes: list[str] = []
    for norm in done.replaced:
        notes += norm.notes
    row.notes = _counted(notes, " × ")


def _note_step(row: ConvertedNetwork, model: nn.Module, inputs: Any) -> None:
    """A norm that refuses the network's input says so in a sentence: a result, and no failure."""
    try:
        output = training_step(model, inputs)
    except NormLabError as error:
        row.step = f"refused: {error}"
        return
    # Both sides of the step: an output may be finite and the gradient that follows from it not.
    finite = all(bool(parameter.isfinite().all()) for parameter in model.parameters())
    if finite and bool(output.isfinite().all()):
        row.step = "ok"
    else:
        row.fail("not finite")


def _counted(words: Iterable[str], times: str = " ") -> str:
    """`5 LlamaRMSNorm, 1 LayerNorm`."""
    return ", ".join(f"{count}{times}{word}" for word, count in Counter(words).items())
