"""What `normlab convert` prints: the norms of a network, what would become of them, or one row per network."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from torch import nn

from normlab.errors import NormLabError
from normlab.tools.convert import Conversion, Outcome, convert
from normlab.tools.forward_pass import error_in_words, training_step
from normlab.tools.norm_layers import find_norms
from normlab.tools.zoo import FORMS, SHOWN, build_named, sample_inputs

_FAILED = "failed"  # how the step of such a row begins


def list_norms(names: Sequence[str], as_json: bool) -> None:
    """Path, class, kind, channels and eps of each norm of each network."""
    if not names:
        raise NormLabError(f"--list needs a model: write {FORMS}.")
    rows = [
        {
            "model": name,
            "norm": " = ".join(norm.names) or norm.name,
            "class": type(norm.module).__name__,
            "kind": norm.kind or f"not read: {norm.reason}",
            "channels": norm.features or None,
            "eps": getattr(norm.module, "eps", getattr(norm.module, "variance_epsilon", None)),
        }
        for name in names
        for norm in find_norms(build_named(name))
    ]
    _print(rows, as_json)


def convert_from_console(
    names: Sequence[str], to: str, from_: Sequence[str], layers: Sequence[str], as_json: bool
) -> None:
    """One network: every norm layer. Several, or none named: a row for each, with a training step of the result.

    The status is then 1 if a row failed; that the new norm refuses an input of the network is a result and no failure.
    """
    if len(names) != 1:
        convert(nn.Identity(), to, from_ or None)  # an unknown kind is one sentence, not one a row
        rows = [row(name, to, from_, layers) for name in names or SHOWN]
        _print(rows, as_json)
        if any(entry["step"].startswith(_FAILED) for entry in rows):
            sys.exit(1)
        return
    done = convert(build_named(names[0]), to, from_ or None, layers or None)
    if as_json:
        print(json.dumps([vars(norm) for norm in done.norms], indent=1))
    else:
        print(done)


def row(
    name: str, to: str, from_: Sequence[str] = (), layers: Sequence[str] = ()
) -> dict[str, Any]:
    """The network `name`, converted: how many norms it had, what was replaced, what was left and why, and one step.

    Whatever a network raises is told in its own row, as the step, so that those of the others are not lost.
    """
    torch.manual_seed(0)
    entry: dict[str, Any] = {
        "model": name,
        "norms": None,
        "replaced": "",
        "left": "",
        "notes": "",
        "step": "",
    }
    try:
        model = build_named(name)
        done = convert(model, to, from_ or None, layers or None)
        entry |= {
            "norms": len(done.norms),
            "replaced": _counted(_class(norm) for norm in done.replaced),
            "left": _counted(f"{_class(norm)}: {'; '.join(norm.notes)}" for norm in done.left),
            "notes": _counted((note for norm in done.replaced for note in norm.notes), " × "),
        }
        inputs = sample_inputs(name, done.model)
        entry["step"] = "" if inputs is None else _step_in_words(done, inputs)
    except NormLabError as error:
        entry["step"] = f"{_FAILED}: {error}"
    except Exception as error:  # whatever other people's networks raise
        entry["step"] = f"{_FAILED}: {error_in_words(error)}"
    return entry


def _step_in_words(done: Conversion, inputs: Any) -> str:
    try:
        output = training_step(done.model, inputs)
    except NormLabError as error:
        return f"refused: {error}"
    finite = all(bool(parameter.isfinite().all()) for parameter in done.model.parameters())
    return "ok" if finite and bool(output.isfinite().all()) else f"{_FAILED}: not finite"


def _class(norm: Outcome) -> str:
    return norm.before.partition("(")[0]


def _counted(words: Any, times: str = " ") -> str:
    return ", ".join(f"{count}{times}{word}" for word, count in Counter(words).items())


def _print(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    if not rows:
        print("no norm layers")
        return
    table = Table(*rows[0], box=None, pad_edge=False)
    for entry in rows:
        table.add_row(*("" if value is None else escape(str(value)) for value in entry.values()))
    Console(width=None if Console().is_terminal else 200).print(table)
