"""`normlab report`: everything that is built from results/, in one step, and the check of it.

The same records and claims give the same bytes.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from normlab.claims.claim import Claim
from normlab.claims.family import family as family_of
from normlab.claims.registry import load_all
from normlab.claims.run.replicate import rate_in_words, replications
from normlab.claims.verdicts import verdicts
from normlab.errors import NormLabError
from normlab.measure.zoo.rows import read_rows
from normlab.records.files import write_atomically
from normlab.records.places import CHECKOUT, EXPERIMENTS, RESULTS
from normlab.records.store import Store
from normlab.records.verdict import NO_DATA, VERDICTS, to_json
from normlab.report import readme
from normlab.report.cards import Card, build_card, finished
from normlab.report.coverage import coverage_page, statements
from normlab.report.headline import HEADLINE, headline_of
from normlab.report.marks import SYMBOLS
from normlab.report.verdict_table import verdict_page
from normlab.report.words import CLASSES
from normlab.report.zoo_page import zoo_page

HERE = Path(__file__).resolve().parent


def built(
    results: Path = RESULTS,
    out: Path | None = None,
    claims: Sequence[Claim] | None = None,
) -> dict[Path, str]:
    """Path -> text of verdicts.json and the page.

    With this checkout's own results also of what it commits: README.md, its picture, VERDICTS.md,
    docs/coverage.md and docs/zoo.md.

    Raises:
        NormLabError: no such folder of results; marks that README.md lacks; no matplotlib.
    """
    # A checkout without a results folder has run nothing yet, and gets an empty page.
    if not results.is_dir() and results != RESULTS:
        raise NormLabError(f"--results {results}: there is no such folder.")
    claims, store = load_all() if claims is None else claims, Store(results)
    rows = verdicts(claims, store)
    cards = [build_card(claim, row, store) for claim, row in zip(claims, rows, strict=True)]
    together = " ".join(filter(None, [family_of(rows).words, rate_in_words(replications(results))]))
    page = out or results / "report" / "index.html"
    texts = {
        results / "verdicts.json": to_json(rows),
        page: html(cards, finished(store), _links(results, page), together),
    }
    # What another folder holds is nobody's to commit here.
    if CHECKOUT is not None and results.resolve() == RESULTS:
        picture = headline_of(claims, rows, store)
        path = CHECKOUT / "README.md"
        texts[path] = readme.put(path.read_text(), readme.blocks(cards, picture))
        texts[CHECKOUT / "VERDICTS.md"] = verdict_page(cards, together)
        found = statements([claim.slug for claim in claims])
        texts[CHECKOUT / "docs" / "coverage.md"] = coverage_page(cards, found)
        if networks := read_rows(results):
            texts[CHECKOUT / "docs" / "zoo.md"] = zoo_page(networks.values())
        for theme, svg in picture.pictures.items() if picture else ():
            texts[CHECKOUT / f"{readme.PICTURE}-{theme}.svg"] = svg
    return texts


def write(texts: Mapping[Path, str]) -> None:
    """Replace each file in one step."""
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)


def out_of_date(texts: Mapping[Path, str]) -> list[Path]:
    """The files that are missing, or hold something else than what would be built now."""
    return [path for path, text in texts.items() if not path.is_file() or path.read_text() != text]


def html(cards: Sequence[Card], trials: int, links: Mapping[str, str], family: str = "") -> str:
    """The page.

    `links`: where `results`, `experiments` and `notebooks` (or "" for these two) lie, seen from it.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        # A name that the template misspells must not leave a gap on the page.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    groups = {verdict: [card for card in cards if card.verdict == verdict] for verdict in VERDICTS}
    # Without trials its card has no figure, and the page begins with the table.
    headline = next((card for card in cards if card.claim.slug == HEADLINE and card.figure), None)
    return environment.get_template("template.html.j2").render(
        style=(HERE / "style.css").read_text(),
        symbols=Markup(SYMBOLS),
        cards=[card for verdict in VERDICTS for card in groups[verdict]],
        groups={verdict: group for verdict, group in groups.items() if group},
        decided=sum(card.verdict != NO_DATA for card in cards),
        headline=headline,
        classes=CLASSES,
        trials=trials,
        family=family,
        links=links,
    )


def _links(results: Path, page: Path) -> dict[str, str]:
    def seen(folder: Path) -> str:
        # A page moves together with what it links to, so that links are relative.
        return Path(os.path.relpath(folder.resolve(), page.resolve().parent)).as_posix()

    links = {"results": seen(results), "experiments": "", "notebooks": ""}
    # Elsewhere the way to this checkout is nobody else's.
    if CHECKOUT is not None and page.resolve().is_relative_to(CHECKOUT):
        links |= {"experiments": seen(EXPERIMENTS), "notebooks": seen(CHECKOUT / "notebooks")}
    return links
