"""The verdict table in README.md: built between two marks, never typed."""

from collections.abc import Sequence

from normlab.errors import NormLabError
from normlab.records.verdict import NO_DATA, VERDICTS
from normlab.report.cards import Card

BEGIN, END = "<!-- verdicts:begin -->", "<!-- verdicts:end -->"


def put(readme: str, cards: Sequence[Card]) -> str:
    """`readme` with the block between the marks rebuilt.

    Raises:
        NormLabError: the marks are not there, once each and in order.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in after:
        raise NormLabError(f"README.md must hold {BEGIN} and {END}, once each and in this order.")
    return f"{before}{BEGIN}\n{block(cards)}\n{END}{after}"


def block(cards: Sequence[Card]) -> str:
    """Markdown: a line of counts, a row per decided claim, and the claims without data."""
    decided = [card for card in cards if card.verdict != NO_DATA]
    if not decided:
        return "No trial is recorded yet: `normlab run SLUG --profile cpu`, then `normlab report`."
    counts = {verdict: sum(card.verdict == verdict for card in cards) for verdict in VERDICTS}
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    lines = [
        f"{len(cards)} claims: {said}. Effects with their 95 % interval; every trial, rule and caveat is in "
        "[the report](results/report/index.html).",
        "",
        "| claim | said by | verdict | effect | n | evidence |",
        "| --- | --- | --- | --- | --: | --- |",
    ]
    for card in sorted(decided, key=lambda card: (VERDICTS.index(card.verdict), card.claim.slug)):
        path = f"experiments/{card.file}"
        cells = [
            f"{_cell(card.claim.statement)} [`{card.claim.slug}`]({path})",
            _cell("; ".join(card.claim.documents)),
            f"**{card.verdict}**"
            + (" (stale)" if any(note.startswith("stale") for note in card.notes) else ""),
            _effects(card),
            str(card.n),
            _cell(card.evidence),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    missing = sorted(card.claim.slug for card in cards if card.verdict == NO_DATA)
    if missing:
        lines += ["", f"No data yet: {', '.join(f'`{slug}`' for slug in missing)}."]
    return "\n".join(lines)


def _effects(card: Card) -> str:
    if len(card.clauses) == 1:
        return _cell(card.clauses[0].effect)
    return "<br>".join(
        _cell(f"{c.name}: {c.verdict}{', ' if c.effect else ''}{c.effect}") for c in card.clauses
    )


def _cell(text: str) -> str:
    """Text that stays in its cell and is no markup."""
    for plain, safe in (
        ("\\", "\\\\"),
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("|", "\\|"),
        ("*", "\\*"),
        ("\n", " "),
    ):
        text = text.replace(plain, safe)
    return text
