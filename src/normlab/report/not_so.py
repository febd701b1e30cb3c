"""docs/not_so.md: ten things that are written, and are not so. From refuted claims alone."""

from collections.abc import Sequence

from normlab.records.verdict import REFUTED, SUPPORTED
from normlab.report.cards import Card
from normlab.report.markdown import answer, plain

MOST = 10
_HEAD = """# Ten things that are written, and are not so

<!-- Built by `normlab report` from experiments/ and results/: changes made by hand are lost. -->

{counts}

First comes what most of the documents say; among equals, what the most seeds decide. Each link
leads to the claim, its rule and the command that measures it again."""


def not_so(cards: Sequence[Card]) -> list[Card]:
    """The refuted claims, at most `MOST`: first what most documents say, then by seeds and name.

    A claim whose records were made by other code is left out.
    """
    refuted = [card for card in cards if card.verdict == REFUTED and not card.stale]
    return sorted(refuted, key=_place)[:MOST]


def _place(card: Card) -> tuple[int, int, str]:
    return -len(card.claim.documents), -card.n, card.claim.slug


def not_so_page(cards: Sequence[Card]) -> str:
    """The page; the same cards give the same text."""
    shown = not_so(cards)
    counts = (
        f"Of {len(cards)} claims {sum(card.verdict == REFUTED for card in cards)} are refuted and "
        f"{sum(card.verdict == SUPPORTED for card in cards)} supported; here are {len(shown)} of "
        "the refuted."
    )
    entries = [_entry(number, card) for number, card in enumerate(shown, 1)]
    return "\n\n".join([_HEAD.format(counts=counts), *entries]) + "\n"


def _entry(number: int, card: Card) -> str:
    smaller = {clause.stands_for for clause in card.clauses if clause.decides and clause.stands_for}
    scale = f" What was tried stands for {'; '.join(sorted(smaller))}." if smaller else ""
    seeds = f"n = {card.n}, {card.profile} profile"
    return "\n".join(
        [
            f"## {number}. “{plain(card.claim.statement)}”",
            "",
            f"{answer(card)}{scale}",
            "",
            f"Said in: {'; '.join(card.claim.documents)}. "
            f"[`{card.claim.slug}`](../experiments/{card.file}), {seeds}.",
        ]
    )
