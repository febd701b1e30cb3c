"""`normlab ...`: one typer application, `app`. Importing it imports neither torch nor lightning."""

from typing import Any

from normlab.errors import NormLabError, extras_named, refuse


def main() -> None:
    """Run the command in `sys.argv`, and exit."""
    try:
        # typer comes with an extra, and may be what is missing.
        with extras_named():
            from normlab.cli.commands import app
    except NormLabError as error:
        refuse(error)
    app()


def __getattr__(name: str) -> Any:
    """`app`, when it is first asked for: typer comes with an extra."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from normlab.cli.commands import app

    return app
