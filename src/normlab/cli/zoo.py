"""`normlab zoo`."""

from typing import TYPE_CHECKING, Annotated

import typer

from normlab.cli.options import Results

if TYPE_CHECKING:
    from normlab.measure.zoo.rows import Row


def zoo(
    library: Annotated[
        str | None, typer.Option(help="torchvision, timm or transformers.  [default: all]")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="A network, as timm:resnet10t; may be repeated.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Those that have a row, too.")] = False,
    seconds: Annotated[int, typer.Option(help="Of CPU time for each network.")] = 300,
    gigabytes: Annotated[int, typer.Option(help="Of memory for each network.")] = 6,
    results: Results = None,
) -> None:
    """Convert, fold, audit and train for a step the smallest network of each family of torchvision,
    timm and transformers. Takes hours; goes on where it
    stopped. `normlab report` builds docs/zoo.md from the rows."""
    from normlab.measure.zoo.processes import Limits
    from normlab.measure.zoo.run import chosen, run_zoo
    from normlab.records.places import RESULTS

    folder = results or RESULTS
    limits = Limits(seconds, gigabytes << 30)
    wanted = chosen(library, only or ())
    done = 0
    for row in run_zoo(wanted, folder, limits, again=again or bool(only)):
        done += 1
        print(_line(row), flush=True)
    print(f"{done} networks looked at; {len(wanted) - done} of {len(wanted)} had a row")


def _line(row: "Row") -> str:
    """What became of a network."""
    words = [f"{row.network}: {sum(row.norms.values())} norms"]
    if row.batch_norms:
        words.append(f"{row.folded} of {row.batch_norms} folded, {row.fold}")
    if row.step:
        words.append(f"step {row.step}")
    words += [f"{stage}: {reason}" for stage, reason in row.reasons.items()]
    return "; ".join([*words, f"{row.seconds:g} s"])
