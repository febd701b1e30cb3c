"""docs/coverage.md: what each shared document says, sentence by sentence, and what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf

from normlab.errors import NormLabError
from normlab.records.places import EXPERIMENTS
from normlab.records.verdict import NO_DATA
from normlab.report.cards import Card
from normlab.report.markdown import answer, plain, table, verdict_cell

STATEMENTS = EXPERIMENTS / "statements.yaml"
_KEYS = {"name", "claim", "documents", "statement"}
_HEAD = """# What the documents say, and what was found

<!-- Built by `normlab report` from experiments/ and results/: changes made by hand are lost. -->

The claims come from five documents that many people read: guides, lessons and interview pages.
Below each one's statements stand in our words, with the verdict and the answer of their claim. How
a verdict is decided is in [evidence.md](evidence.md).

{counts}"""


@dataclass(frozen=True)
class Statement:
    """A statement of the documents that can be tested, by its name in the catalogue.

    claim: the slug of the claim that decides it, if there is one; without it the titles of the
    documents and what they state, in our words.
    """

    name: str
    claim: str | None
    documents: tuple[str, ...] = ()
    statement: str = ""


def statements(slugs: Sequence[str], path: Path = STATEMENTS) -> list[Statement]:
    """All of them, in the catalogue's order.

    Raises:
        NormLabError: an entry that is neither a claim of `slugs` nor written out.
    """
    found = []
    for entry in OmegaConf.to_container(OmegaConf.load(path)) or []:
        if not isinstance(entry, dict) or "name" not in entry or set(entry) - _KEYS:
            raise NormLabError(f"{path.name}: {entry!r} has no name, or keys that nobody reads.")
        name = str(entry["name"])
        claim = str(entry.get("claim", name))
        written = tuple(entry.get("documents", ())), str(entry.get("statement", ""))
        if (claim in slugs) == all(written):
            raise NormLabError(
                f"{path.name}: {name} must be a claim, or have its documents and its statement, "
                "and not both."
            )
        found.append(Statement(name, claim if claim in slugs else None, *written))
    return found


def coverage_page(cards: Sequence[Card], all_statements: Sequence[Statement]) -> str:
    """The page; the same cards and statements give the same text."""
    by_slug = {card.claim.slug: card for card in cards}
    untested = [one for one in all_statements if one.claim is None]
    titles = _titles(by_slug, all_statements)
    parts = [_HEAD.format(counts=_counts(by_slug, all_statements))]
    for title in titles:
        rows = []
        for one in all_statements:
            if one.claim is not None and title in by_slug[one.claim].claim.documents:
                rows.append(_row(by_slug[one.claim]))
        rows += [
            (plain(one.statement), "no claim yet", "") for one in untested if title in one.documents
        ]
        parts.append(f"## {title}\n\n{table(('it says', 'verdict', 'found'), _once(rows))}")
    covered = {one.claim for one in all_statements}
    others = [_row(card) for card in cards if card.claim.slug not in covered]
    if others:
        head = "## What practitioners ask, and newer papers"
        parts.append(f"{head}\n\n{table(('it is said', 'verdict', 'found'), others)}")
    return "\n\n".join(parts) + "\n"


def _titles(by_slug: Mapping[str, Card], all_statements: Sequence[Statement]) -> list[str]:
    """The documents' titles, sorted: those of the statements, and of no other claim."""
    titles: set[str] = set()
    for one in all_statements:
        titles |= set(one.documents if one.claim is None else by_slug[one.claim].claim.documents)
    return sorted(titles)


def _counts(by_slug: Mapping[str, Card], all_statements: Sequence[Statement]) -> str:
    claims = [one.claim for one in all_statements if one.claim is not None]
    decided = sum(by_slug[claim].verdict != NO_DATA for claim in claims)
    without = len(all_statements) - len(claims)
    return (
        f"Of {len(all_statements)} statements {len(claims)} have a claim, {decided} of them with a "
        f"verdict; {without or 'none'} {'has' if without < 2 else 'have'} no claim yet."
    )


def _row(card: Card) -> tuple[str, str, str]:
    link = f"[`{card.claim.slug}`](../experiments/{card.file})"
    return f"{plain(card.claim.statement)} {link}", verdict_cell(card), answer(card)


def _once(rows: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    # Two statements may have one claim.
    return list(dict.fromkeys(rows))
