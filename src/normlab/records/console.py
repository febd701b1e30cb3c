"""What commands print tables and sentences on. rich takes time: import this where it is used."""

import sys

from rich.console import Console


def plain_console(width: int) -> Console:
    """Prints `width` characters a line into a file, and as many as there are on a terminal.

    Text comes out as it is: rich would take `[words in brackets]` for its mark-up, and `:x:` for a
    picture. What has a style is a `rich.text.Text`.
    """
    # Without a terminal rich takes 80, which breaks every sentence.
    return Console(width=None if sys.stdout.isatty() else width, markup=False, emoji=False)
