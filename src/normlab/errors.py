"""The one exception that a person is meant to read."""

import sys
from collections.abc import Iterable
from typing import NoReturn


class NormLabError(ValueError):
    """Bad input, said in one sentence that names the valid choices.

    `train.py` and `normlab` print the message without a traceback and exit with a non-zero status.
    Everything else that is raised is a bug of ours and keeps its traceback.
    """


def choices(what: str, given: object, valid: Iterable[object]) -> NormLabError:
    """The sentence for a name that is not known: `unknown norm 'foo': choose one of a, b, c.`"""
    return NormLabError(f"unknown {what} {given!r}: choose one of {', '.join(map(str, valid))}.")


def refuse(sentence: object) -> NoReturn:
    """Print the sentence and exit with status 2."""
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)
