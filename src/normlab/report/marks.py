"""The small pieces of a figure in SVG: marks of trials, lines and words.

x positions are percentages, so that a figure fills any width while text and marks keep theirs.
Colours are classes of the style sheet (light and dark); a series differs from another in its marks
and dashes, too. Coordinates have two decimals: the same numbers give the same bytes.
"""

from markupsafe import escape

MARKS = (  # of a series, about the origin
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z",
    "M-3.6-3.6h7.2v7.2h-7.2Z",
    "M0-4.6 4.4 3.4h-8.8Z",
    "M0-5 4.4 0 0 5-4.4 0Z",
    "M0 4.6 4.4-3.4h-8.8Z",
    "M-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3Z",
)
CROSS = "M-4.5-4.5 4.5 4.5M-4.5 4.5 4.5-4.5"
# Stands once in a page, before all that `mark` draws.
SYMBOLS = "".join(f'<path id="mark-{index}" d="{shape}"/>' for index, shape in enumerate(MARKS)) + (
    f'<path id="cross" d="{CROSS}"/>'
)
SLOT = 9.5  # percent of the width, for the trials of a band
SERIES = 8  # colours in the style sheet


def percent(value: float) -> str:
    return f"{value:.2f}%"


def mark(
    x: float,
    y: str,
    shape: int,
    colour: str,
    title: str,
    diverged: bool = False,
    faint: bool = False,
    dx: float = 0,
) -> str:
    """One trial: the mark of its series, crossed out if it diverged, hollow if it does not
    count."""
    # A reference each, not a drawing: a page holds thousands.
    where = f'x="{percent(x)}" y="{y}"' + (f' transform="translate({dx:.1f})"' if dx else "")
    name = f"<title>{escape(title)}</title>"
    hollow = " hollow" if faint else ""
    drawn = (
        f'<use href="#mark-{shape % len(MARKS)}" class="mark {colour}{hollow}" {where}>{name}</use>'
    )
    return drawn + (f'<use href="#cross" class="cross" {where}>{name}</use>' if diverged else "")


def line(x1: float, y1: str, x2: float, y2: str, kind: str) -> str:
    return f'<line class="{kind}" x1="{percent(x1)}" y1="{y1}" x2="{percent(x2)}" y2="{y2}"/>'


def text(x: float, y: str, content: str, kind: str, more: str = "") -> str:
    return f'<text class="{kind}" x="{percent(x)}" y="{y}"{more}>{escape(content)}</text>'
