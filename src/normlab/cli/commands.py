"""The typer application and its commands, one from each file of this folder.

A command's file parses and prints; it imports what does the work inside its function, so that
`normlab --help` loads typer alone.
"""

from collections.abc import Callable
from functools import wraps

import typer

from normlab.cli.advise import advise
from normlab.cli.audit import audit
from normlab.cli.bench import bench
from normlab.cli.compare import compare
from normlab.cli.contribute import contribute
from normlab.cli.convert import convert
from normlab.cli.dashboard import dashboard
from normlab.cli.fold import fold
from normlab.cli.list import list_claims
from normlab.cli.recheck import recheck
from normlab.cli.replicate import replicate
from normlab.cli.report import report
from normlab.cli.rerun import rerun
from normlab.cli.run import run
from normlab.cli.sample import sample
from normlab.cli.score import score
from normlab.cli.show import show
from normlab.cli.verdict import verdict
from normlab.cli.zoo import zoo
from normlab.errors import NormLabError, extras_named, interrupted, refuse

# In the order in which `normlab --help` lists them: tools for models of one's own, then claims.
COMMANDS: dict[str, Callable[..., None]] = {
    "advise": advise,
    "convert": convert,
    "fold": fold,
    "compare": compare,
    "rerun": rerun,
    "dashboard": dashboard,
    "score": score,
    "audit": audit,
    "list": list_claims,
    "show": show,
    "run": run,
    "recheck": recheck,
    "replicate": replicate,
    "verdict": verdict,
    "report": report,
    "bench": bench,
    "contribute": contribute,
    "sample": sample,
    "zoo": zoo,
}

app = typer.Typer(
    name="normlab",
    help="What is written about normalization layers, put to the test.",
    no_args_is_help=True,
    add_completion=False,
    # What is no NormLabError is a bug of ours and keeps Python's own traceback.
    pretty_exceptions_enable=False,
)


@app.callback()
def main() -> None:
    """What is written about normalization layers, put to the test."""


def _guarded(command: Callable[..., None]) -> Callable[..., None]:
    """`command`, whose NormLabErrors end in one sentence and status 2."""

    # `wraps` keeps the signature, from which typer reads arguments and options.
    @wraps(command)
    def guarded(**options: object) -> None:
        try:
            with extras_named():
                command(**options)
        except NormLabError as error:
            refuse(error)
        except KeyboardInterrupt:
            interrupted(_KEPT.get(command.__name__, _NOTHING_KEPT))

    return guarded


# After Ctrl-C, by the name of a command.
_RECORDED = "every trial that had ended is recorded; the same command goes on with the rest."
_KEPT = {
    "run": _RECORDED,
    "score": _RECORDED,
    "recheck": "trials that were run again are kept; the same command goes on with the rest.",
    "zoo": "every network that was done has its row; the same command goes on with the rest.",
    "rerun": "the run has no result; the same command starts it again.",
}
_NOTHING_KEPT = "no file is half written; the same command starts again."


for _name, _command in COMMANDS.items():
    # A docstring's line breaks are for the reader of the code.
    _help = " ".join((_command.__doc__ or "").split())
    app.command(_name, help=_help)(_guarded(_command))
