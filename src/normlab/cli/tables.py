"""What the tables of several commands have in common.

Imported inside the commands, since rich takes time.
"""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from normlab.records.console import plain_console
from normlab.records.verdict import INCONCLUSIVE, PARTLY, REFUTED, SUPPORTED

STYLES = {SUPPORTED: "green", PARTLY: "yellow", REFUTED: "red", INCONCLUSIVE: "magenta"}


def plain_table(*columns: str) -> Table:
    """A table without lines."""
    return Table(*columns, box=None, pad_edge=False)


def claim_console() -> Console:
    """Prints 160 characters a line into a file, and as many as there are on a terminal."""
    return plain_console(160)


def wide_console() -> Console:
    """Prints 200 characters a line into a file, and as many as there are on a terminal."""
    return plain_console(200)


def styled(word: str, style: str | None) -> Text:
    """`word` in rich's `style`."""
    return Text(word, style or "")


def in_lines(parts: Iterable[str | Text]) -> Text:
    """A cell of several lines, each with its own style."""
    lines = [Text(part) if isinstance(part, str) else part for part in parts]
    return Text("\n").join(lines)
