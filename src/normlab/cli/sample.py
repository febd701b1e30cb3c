"""`normlab sample`."""

from pathlib import Path
from typing import Annotated

import typer

from normlab.cli.options import CHECKPOINT


def sample(
    checkpoint: Annotated[Path, typer.Argument(help=CHECKPOINT)],
    prompt: Annotated[str, typer.Option(help="What the text begins with.")] = "\n",
    length: Annotated[int, typer.Option(help="Characters to add.")] = 200,
    temperature: Annotated[float, typer.Option(help="0 = always the most likely character.")] = 1.0,
    top_k: Annotated[
        int | None, typer.Option(help="Draw from this many most likely ones.  [default: all]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
) -> None:
    """Text from a trained language model."""
    from normlab.tools import sample as sampling

    text = sampling.sample(
        checkpoint, prompt, length=length, temperature=temperature, top_k=top_k, seed=seed
    )
    typer.echo(text)
