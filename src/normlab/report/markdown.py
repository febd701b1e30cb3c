"""Tables of verdicts in Markdown: what README.md and VERDICTS.md share."""

from collections.abc import Iterable, Sequence

from normlab.records.verdict import VERDICTS
from normlab.records.words import listed
from normlab.report.cards import Card

EMPTY = "No trial is recorded yet: `normlab run SLUG --profile quick`, then `normlab report`."
# What is markup in Markdown or HTML, and how it is written to be read as it is.
_SAFE = {"\\": "\\\\", "&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "\\|", "*": "\\*", "\n": " "}


def plain(text: str) -> str:
    """`text` that stays in its cell and is no markup."""
    return "".join(_SAFE.get(character, character) for character in text)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a column called `n` is aligned to the right."""
    # The row under the head, by which Markdown knows a table.
    rules = ["--:" if column == "n" else "---" for column in columns]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, rules, *rows))


def verdict_cell(card: Card) -> str:
    """`**supported**`, with `(stale)` where other code than this made the records, and with what
    came of it where it was asked again."""
    marks = [*(["stale"] if card.stale else []), *map(plain, card.marks)]
    return f"**{card.verdict}**" + (f" ({'; '.join(marks)})" if marks else "")


def counts(cards: Sequence[Card]) -> str:
    """`77 claims: 15 supported, 48 partly supported and 14 refuted.`"""
    of_verdict = {verdict: sum(card.verdict == verdict for card in cards) for verdict in VERDICTS}
    shown = [f"{count} {verdict}" for verdict, count in of_verdict.items() if count]
    return f"{len(cards)} claims: {listed(shown)}."


def answer(card: Card) -> str:
    """The claim's one sentence; where nothing is decided, what the rules before came to."""
    if card.answer:
        return plain(card.answer)
    if not card.history:
        return "nothing yet"
    last = card.history[-1]
    return plain(f"not decided yet by these rules; {last.version}: {last.verdict}, {last.text}")
