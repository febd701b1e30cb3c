"""VERDICTS.md: every claim in one row, what was measured of it below. Built from the records."""

from collections import Counter
from collections.abc import Sequence

from normlab.records.verdict import NO_DATA, VERDICTS
from normlab.records.words import listed
from normlab.report.cards import Card, Clause
from normlab.report.markdown import EMPTY, answer, counts, plain, table, verdict_cell

HEAD = """# Verdicts

<!-- Built by `normlab report` from results/: changes made by hand are lost. -->

{counts}

Effects stand with their 95 % interval; n is the number of seeds or draws. How a verdict is decided
is in [docs/evidence.md](docs/evidence.md). Rules, trials, figures and caveats of each claim are in
`normlab show SLUG` and on the page that `normlab report` builds."""


def verdict_page(cards: Sequence[Card], family: str = "") -> str:
    """The whole file: for each verdict a table of its claims, then their parts.

    family: how many verdicts stay if all clauses are one family of tests.
    """
    # A table of claims that nothing is known of would say less than one sentence.
    if all(card.verdict == NO_DATA for card in cards):
        return f"# Verdicts\n\n{EMPTY}\n"
    sections = [HEAD.format(counts=f"{counts(cards)} {family}".strip())]
    for verdict in VERDICTS:
        group = sorted(
            (card for card in cards if card.verdict == verdict), key=lambda card: card.claim.slug
        )
        if group:
            sections.append(_section(verdict, group))
    return "\n\n".join(sections) + "\n"


def _section(verdict: str, cards: Sequence[Card]) -> str:
    rows = [(_claim(card), verdict_cell(card), _short(card), str(card.n)) for card in cards]
    head = f"## {verdict.capitalize()}: {len(cards)}"
    shown = [head, table(("claim", "verdict", "measured", "n"), rows)]
    # Of what is not decided here another machine may have records.
    told = [card for card in cards if verdict != NO_DATA or card.again]
    if told:
        details = [_details(card) for card in told]
        summary = "<summary>Their parts, who says so, and what it rests on</summary>"
        shown.append("\n\n".join([f"<details>\n{summary}", *details, "</details>"]))
    return "\n\n".join(shown)


def _claim(card: Card) -> str:
    path = f"experiments/{card.file}"
    return f"{plain(card.claim.statement)} [`{card.claim.slug}`]({path})"


def _short(card: Card) -> str:
    """The claim's answer; without one the effect of its clause, or how many came out how."""
    if card.answer or card.verdict == NO_DATA:
        return answer(card)
    clauses = [clause for clause in card.clauses if clause.decides]
    if len(clauses) == 1:
        return plain(clauses[0].effect)
    times = Counter(clause.verdict for clause in clauses)
    if len(times) == 1:
        return f"{len(clauses)} clauses, all {clauses[0].verdict}"
    outcomes = [f"{times[verdict]} {verdict}" for verdict in VERDICTS if times[verdict]]
    return f"{len(clauses)} clauses: {listed(outcomes)}"


def _details(card: Card) -> str:
    documents = plain("; ".join(card.claim.documents))
    head = f"**{card.claim.slug}**: {documents}. {plain(card.evidence)}"
    earlier = [f"- {one.version}: **{one.verdict}**, {plain(one.text)}" for one in card.history]
    again = [f"- {plain(words)}" for _, words in card.again]
    parts = [f"- {_part(clause)}" for clause in card.clauses]
    return "\n".join([f"{head}\n", *parts, *again, *earlier])


def _part(clause: Clause) -> str:
    kind = "" if clause.decides else "scope, "
    head = f"{kind}{plain(clause.name)}, **{clause.verdict}**: {plain(clause.statement)}"
    if clause.stands_for:
        head += f" (stands for {plain(clause.stands_for)})"
    return f"{head}. {plain(clause.effect)}" if clause.effect else head
