"""The static site: a first page, and a page for each claim beside it in claims/.

A page needs no other file, but for the records and the pages that it links to. Without scripts
every page can be read whole; the first page's own one narrows, sorts and saves what it shows.
"""

import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from normlab.records.places import CHECKOUT, EXPERIMENTS
from normlab.records.verdict import NO_DATA, VERDICTS
from normlab.report.cards import Card, Clause
from normlab.report.facets import Facets, facets
from normlab.report.marks import SYMBOLS
from normlab.report.story import Picture
from normlab.report.words import CLASSES, norm_name

HERE = Path(__file__).resolve().parent


def site(
    cards: Sequence[Card],
    trials: int,
    results: Path,
    page: Path,
    family: str = "",
    pictures: Sequence[Picture] = (),
) -> dict[Path, str]:
    """Path -> text of the first page, `page`, and of claims/<slug>.html beside it.

    trials: how many are evidence. family: how many verdicts stay if all clauses are one family of
    tests. pictures: what the first page begins with.
    """
    texts = {page: first_page(cards, trials, links(results, page), family, pictures)}
    folder = page.parent / "claims"
    ways = links(results, folder / "any.html")
    for card in cards:
        texts[folder / f"{card.claim.slug}.html"] = claim_page(card, ways, page.name)
    return texts


def first_page(
    cards: Sequence[Card],
    trials: int,
    ways: Mapping[str, str],
    family: str = "",
    pictures: Sequence[Picture] = (),
) -> str:
    """The pictures, and every claim in a row.

    `ways`: where `results`, `experiments` and `notebooks` (or "" for these two) lie, seen from it.
    """
    groups = {verdict: [card for card in cards if card.verdict == verdict] for verdict in VERDICTS}
    verdicts = {card.claim.slug: card.verdict for card in cards}
    of = {one.slug: one for one in facets([card.claim for card in cards], verdicts)}
    return render(
        "first_page.html.j2",
        script=Markup((HERE / "site.js").read_text()),
        data=_json([_row(card, of[card.claim.slug]) for card in cards]),
        cards=cards,
        groups={verdict: group for verdict, group in groups.items() if group},
        facets=of,
        choices=_choices(list(of.values()), cards),
        decided=sum(card.verdict != NO_DATA for card in cards),
        # Without any the page begins with the table.
        pictures=pictures if any(one.figure for one in pictures) else (),
        trials=trials,
        family=family,
        links=ways,
    )


def claim_page(card: Card, ways: Mapping[str, str], first: str) -> str:
    """All that is known of one claim, its answer first. first: the first page's file name."""
    return render("claim_page.html.j2", card=card, links=ways, first=first)


def links(results: Path, page: Path) -> dict[str, str]:
    """Where a page's links to folders lead, seen from it."""

    def seen(folder: Path) -> str:
        # A page moves together with what it links to, so that links are relative.
        return Path(os.path.relpath(folder.resolve(), page.resolve().parent)).as_posix()

    ways = {"results": seen(results), "experiments": "", "notebooks": ""}
    # Elsewhere the way to this checkout is nobody else's.
    if CHECKOUT is not None and page.resolve().is_relative_to(CHECKOUT):
        ways |= {"experiments": seen(EXPERIMENTS), "notebooks": seen(CHECKOUT / "notebooks")}
    return ways


@cache
def _environment() -> Environment:
    """Made once, since a template is compiled once in each."""
    return Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        # A name that the template misspells must not leave a gap on the page.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **given: object) -> str:
    """The page that a template of this folder makes, with the style sheet and the marks."""
    style, symbols = (HERE / "style.css").read_text(), Markup(SYMBOLS)
    page = _environment().get_template(template)
    return page.render(style=style, symbols=symbols, classes=CLASSES, **given)


def _choices(rows: Sequence[Facets], cards: Sequence[Card]) -> dict[str, list[tuple[str, str]]]:
    """By filter, its values and how a reader sees each."""
    documents = {title for row in rows for title in row.documents}
    topics = {row.topic for row in rows if row.topic}
    norms = {kind for row in rows for kind in row.norms}
    verdicts = {row.verdict for row in rows}
    used = {one.partition(", ")[0] for card in cards for one in card.data.split("; ") if one}
    devices = {card.device for card in cards if card.device}
    return {
        "document": [(title, title) for title in sorted(documents)],
        "topic": [(topic, topic.replace("_", " ")) for topic in sorted(topics)],
        "verdict": [(word, word) for word in VERDICTS if word in verdicts],
        "norm": [(kind, norm_name(kind).name) for kind in sorted(norms)],
        "data": [(name, name) for name in sorted(used)],
        "device": [(name, name) for name in sorted(devices)],
    }


def _row(card: Card, of: Facets) -> dict[str, Any]:
    """A claim as the page's script reads and saves it."""
    return {
        "slug": of.slug,
        "statement": of.statement,
        "topic": of.topic,
        "verdict": of.verdict,
        "answer": card.answer,
        "clauses": [_clause(clause) for clause in card.clauses if clause.decides],
        "documents": of.documents,
        "norms": of.norms,
        "stands_for": of.stands_for,
        "n": card.n,
        "profile": card.profile,
        "device": card.device,
        "data": card.data,
        "again": card.again_kind,
    }


def _clause(clause: Clause) -> dict[str, Any]:
    return {"name": clause.name, "verdict": clause.verdict, "effect": clause.effect}


def _json(rows: object) -> Markup:
    """What ends no script and begins no comment, whatever a record says."""
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))
