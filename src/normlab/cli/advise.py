"""`normlab advise`."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.cli.options import Json, Results

if TYPE_CHECKING:
    from normlab.tools.advise.answer import Advice, Ranked
    from normlab.tools.advise.situation import Situation


# typer needs choices when a command is declared, before anything of `tools` is imported.
class AdviceInput(StrEnum):
    """What a norm is to work on: the names of INPUTS in normlab.tools.advise.situation."""

    images = "images"
    vectors = "vectors"
    sequences = "sequences"
    causal = "causal"
    recurrent = "recurrent"


class Length(StrEnum):
    """Of the samples."""

    fixed = "fixed"
    variable = "variable"


class YesNo(StrEnum):
    """An answer."""

    yes = "yes"
    no = "no"


def advise(
    input: Annotated[
        AdviceInput | None, typer.Option(help="What is normalized; the layout follows.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="The smallest batch on one device.")] = None,
    length: Annotated[Length | None, typer.Option(help="Of the samples.")] = None,
    devices: Annotated[int | None, typer.Option(help="Devices that train together.")] = None,
    fold: Annotated[
        YesNo | None, typer.Option(help="Must the norm fold into the weights at inference?")
    ] = None,
    depth: Annotated[int | None, typer.Option(help="Layers, or blocks of a transformer.")] = None,
    warmup: Annotated[YesNo | None, typer.Option(help="Does the learning rate warm up?")] = None,
    as_json: Json = False,
    results: Results = None,
) -> None:
    """Norms and placements ranked for a situation by the recorded verdicts. Asks on a terminal what
    is left out."""
    import json

    from normlab.norms.registry import declared_kinds
    from normlab.records.norm_choices import read_norm_choices
    from normlab.records.places import RESULTS
    from normlab.records.verdict import read_verdicts
    from normlab.tools.advise import answer
    from normlab.tools.advise.situation import complete

    answers = {
        "input": input,
        "batch": batch,
        "length": length,
        "devices": devices,
        "fold": fold,
        "depth": depth,
        "warmup": warmup,
    }
    verdicts = read_verdicts(results or RESULTS)
    choices = read_norm_choices(results or RESULTS)
    advice = answer.advise(complete(answers), verdicts, declared_kinds(), choices)
    if as_json:
        print(json.dumps(advice.as_json(), indent=1, ensure_ascii=False))
    else:
        print("\n".join(_lines(advice)))


def _lines(advice: "Advice") -> list[str]:
    """The answer in plain text, without wrapping."""
    lines = [_situation(advice.situation), ""]
    lines += ["Norms, by reasons for less reasons against (ties by name):"]
    lines += _ranking(advice.norms)
    if advice.situation.transformer:
        lines += ["", "Placements:", *_ranking(advice.placements)]
    if advice.battery:
        lines += ["", "Of the battery of `normlab score --all`, which moves no rank:"]
        for choice in advice.battery:
            lines.append(f"  = {choice.place}: {choice.sentence} [{choice.evidence}]")
    if advice.notes:
        lines += ["", "Decided, and for or against none:"]
        lines += [f"  · {reason.sentence} [{reason.source}]" for reason in advice.notes]
    if advice.missing:
        lines += ["", "Evidence that is missing here:"]
        for gap in advice.missing:
            name = f"{gap.slug}, {gap.part}" if gap.part else gap.slug
            names = f" (on {', '.join(gap.names)})" if gap.names else ""
            lines.append(f"  ? {name}: {gap.why}{names}")
    if advice.unranked:
        lines += ["", f"No decided verdict speaks here of: {', '.join(advice.unranked)}."]
    return lines


def _situation(situation: "Situation") -> str:
    """The answers that the advice is for."""
    from normlab.tools.advise.situation import INPUTS

    devices = f"{situation.devices} device{'s' * (situation.devices > 1)}"
    return "; ".join(
        [
            f"{situation.input}: {INPUTS[situation.input]}",
            f"{situation.batch} on each of {devices}",
            f"{'variable' if situation.varying else 'fixed'} length",
            f"{'must' if situation.fold else 'need not'} fold",
            f"depth {situation.depth}",
            f"{'with' if situation.warmup else 'without'} warm-up",
        ]
    )


def _ranking(items: Sequence["Ranked"]) -> list[str]:
    from normlab.records.words import MINUS

    if not items:
        return ["  no decided verdict speaks for or against any"]
    lines = []
    for place, item in enumerate(items, 1):
        score = f"{item.score:+d}".replace("-", MINUS) if item.score else "0"
        counts = f"({len(item.pros)} for, {len(item.cons)} against)"
        lines.append(f" {place}. {item.name}  {score} {counts}")
        lines += [f"      + {reason.sentence} [{reason.source}]" for reason in item.pros]
        lines += [f"      {MINUS} {reason.sentence} [{reason.source}]" for reason in item.cons]
    return lines
