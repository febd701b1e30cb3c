"""What the tables of several commands have in common.

Imported inside the commands, since rich takes time.
"""

import sys

from rich.console import Console
from rich.table import Table

from normlab.records.verdict import INCONCLUSIVE, PARTLY, REFUTED, SUPPORTED

STYLES = {SUPPORTED: "green", PARTLY: "yellow", REFUTED: "red", INCONCLUSIVE: "magenta"}


def plain_table(*columns: str) -> Table:
    """A table without lines."""
    return Table(*columns, box=None, pad_edge=False)


def claim_console() -> Console:
    """Prints 160 characters a line into a file, and as many as there are on a terminal."""
    # Without a terminal rich takes 80, which breaks every sentence.
    return Console(width=None if sys.stdout.isatty() else 160)


def wide_console() -> Console:
    """Prints 200 characters a line into a file, and as many as there are on a terminal."""
    return Console(width=None if Console().is_terminal else 200)


def styled(word: str, style: str | None) -> str:
    """`word` with rich's mark-up for `style`."""
    return f"[{style}]{word}[/{style}]" if style else word
