"""`normlab list`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.cli.options import Json, Results

if TYPE_CHECKING:
    from normlab.report.facets import Facets


def list_claims(
    topic: Annotated[str | None, typer.Option(help="Of one topic, as batch_size.")] = None,
    verdict: Annotated[str | None, typer.Option(help="With one verdict, as refuted.")] = None,
    norm: Annotated[str | None, typer.Option(help="About one kind of norm, as groupnorm.")] = None,
    document: Annotated[
        str | None, typer.Option(help="Of documents with this in their title, as walkthrough.")
    ] = None,
    as_json: Json = False,
    results: Results = None,
) -> None:
    """Every claim and its last verdict, by topic."""
    import json
    import shutil
    import sys
    from dataclasses import asdict

    from normlab.claims.registry import load_all
    from normlab.records.places import RESULTS, newest
    from normlab.records.verdict import FILE, read_verdicts
    from normlab.report.facets import chosen, facets

    folder = results or RESULTS
    # Without the file nothing is decided yet; with a damaged one that must not be claimed.
    decided = read_verdicts(folder) if newest(folder, FILE).exists() else {}
    every = facets(load_all(), {slug: one.verdict for slug, one in decided.items()})
    rows = chosen(every, topic, verdict, norm, document)
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False))
        return
    # Into a file as many as a page of text has; a terminal says how many it has.
    width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100
    for line in _lines(rows, len(every), width):
        print(line)


def _lines(rows: Sequence["Facets"], claims: int, width: int) -> Iterator[str]:
    """A heading for each topic, a line for each claim, how many of all they are."""
    slug = max((len(row.slug) for row in rows), default=0)
    word = max((len(row.verdict) for row in rows), default=0)
    topic = None
    for row in sorted(rows, key=lambda row: (row.topic, row.slug)):
        if row.topic != topic:
            topic = row.topic
            yield topic.replace("_", " ")
        head = f"  {row.slug:{slug}}  {row.verdict:{word}}  "
        yield head + _shortened(row.statement, width - len(head))
    yield f"{len(rows)} of {claims} claims; normlab show CLAIM says more of one"


def _shortened(text: str, room: int) -> str:
    """The words that fit, and `…` for the others."""
    if len(text) <= room:
        return text
    return f"{text[: max(0, room - 1)].rpartition(' ')[0].rstrip(' ,;:')}…"
