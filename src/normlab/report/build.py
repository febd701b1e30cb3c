"""`normlab report`: everything that is built from results/, in one step, and the check of it.

The same records and claims give the same bytes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from normlab.claims.claim import Claim
from normlab.claims.family import family as family_of
from normlab.claims.registry import load_all
from normlab.claims.replications import rate_in_words, replications
from normlab.claims.verdicts import verdicts
from normlab.errors import NormLabError
from normlab.measure.zoo.rows import read_rows
from normlab.records import norm_choices
from normlab.records.files import write_atomically
from normlab.records.places import CHECKOUT, RESULTS
from normlab.records.store import Store
from normlab.records.verdict import to_json
from normlab.report import readme
from normlab.report.cards import build_card, finished
from normlab.report.coverage import coverage_page, statements
from normlab.report.headline import headline_of
from normlab.report.norm_document import norm_document
from normlab.report.norm_page import norm_page
from normlab.report.not_so import not_so_page
from normlab.report.pages import site
from normlab.report.story import pictures
from normlab.report.verdict_table import verdict_page
from normlab.report.zoo_page import zoo_page
from normlab.score.choices import norm_choices as choices_of
from normlab.score.decide_norms import norm_table
from normlab.score.run import FOLDER
from normlab.score.run_all import shipped_recorded


def built(
    results: Path = RESULTS,
    out: Path | None = None,
    claims: Sequence[Claim] | None = None,
) -> dict[Path, str]:
    """Path -> text of verdicts.json, and of the site whose first page is `out`; of norms.json and
    the page of all norms beside it, where scores are recorded.

    With this checkout's own results also of what it commits: README.md, its picture, VERDICTS.md,
    docs/coverage.md, docs/not_so.md, docs/norm_table.md and docs/zoo.md.

    Raises:
        NormLabError: no such folder of results; marks that README.md lacks; no matplotlib.
    """
    # A checkout without a results folder has run nothing yet, and gets pages without trials.
    if not results.is_dir() and results != RESULTS:
        raise NormLabError(f"--results {results}: there is no such folder.")
    claims, store = load_all() if claims is None else claims, Store(results)
    rows = verdicts(claims, store)
    cards = [build_card(claim, row, store) for claim, row in zip(claims, rows, strict=True)]
    together = " ".join(filter(None, [family_of(rows).words, rate_in_words(replications(results))]))
    story = pictures(claims, rows, cards, store)
    page = out or results / "report" / "index.html"
    texts = {
        results / "verdicts.json": to_json(rows),
        **site(cards, finished(store), results, page, together, story),
    }
    document = _norms(results, page.parent, texts)
    # What another folder holds is nobody's to commit here.
    if CHECKOUT is not None and results.resolve() == RESULTS:
        picture = headline_of(claims, rows, store)
        path = CHECKOUT / "README.md"
        texts[path] = readme.put(path.read_text(), readme.blocks(cards, picture))
        texts[CHECKOUT / "VERDICTS.md"] = verdict_page(cards, together)
        found = statements([claim.slug for claim in claims])
        texts[CHECKOUT / "docs" / "coverage.md"] = coverage_page(cards, found)
        texts[CHECKOUT / "docs" / "not_so.md"] = not_so_page(cards)
        if document:
            texts[CHECKOUT / "docs" / "norm_table.md"] = document
        if networks := read_rows(results):
            texts[CHECKOUT / "docs" / "zoo.md"] = zoo_page(networks.values())
        for theme, svg in picture.pictures.items() if picture else ():
            texts[CHECKOUT / f"{readme.PICTURE}-{theme}.svg"] = svg
    return texts


def _norms(results: Path, folder: Path, texts: dict[Path, str]) -> str:
    """Adds the table of norms to `texts`: its page in `folder`, and what `normlab advise` reads of
    it. The text of its document; "" where no score is recorded."""
    if not any((results / FOLDER).glob("*.jsonl")):
        return ""
    recorded, left_out = shipped_recorded(results)
    table = norm_table(recorded, left_out)
    choices = choices_of(table, recorded)
    texts[results / norm_choices.FILE] = norm_choices.to_json(choices)
    texts[folder / "norms.html"] = norm_page(table, choices)
    return norm_document(table, choices)


def write(texts: Mapping[Path, str]) -> None:
    """Replace each file in one step."""
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)


def out_of_date(texts: Mapping[Path, str]) -> list[Path]:
    """The files that are missing, or hold something else than what would be built now."""
    return [path for path, text in texts.items() if not path.is_file() or path.read_text() != text]
