"""The command line's app, and how a command is added to it."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import typer

from normlab.errors import NormLabError, extras_named, refuse

app = typer.Typer(
    name="normlab",
    help="What is written about normalization layers, put to the test.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def command(name: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command whose NormLabErrors end in one sentence."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @app.command(name)
        @wraps(function)
        def guarded(*args: Any, **options: Any) -> None:
            try:
                with extras_named():
                    function(*args, **options)
            except NormLabError as error:
                refuse(error)

        return guarded

    return register
