"""`normlab ...`: one typer application. Importing this imports neither torch nor lightning."""

from normlab.cli.claim_commands import app

__all__ = ["app"]
