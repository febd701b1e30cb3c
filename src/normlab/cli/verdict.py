"""`normlab verdict`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from normlab.cli.options import Json, Results


def verdict(
    slugs: Annotated[list[str] | None, typer.Argument(help="Claims; all if left out.")] = None,
    as_json: Json = False,
    results: Results = None,
) -> None:
    """Decide claims from their records and write results/verdicts.json."""
    print_verdicts(slugs or (), results, as_json=as_json)


def print_verdicts(
    slugs: Sequence[str], results: Path | None = None, *, as_json: bool = False
) -> None:
    """Decide all claims, write verdicts.json, and print those asked for; all if none is."""
    from normlab.claims.registry import load_all, load_claim
    from normlab.claims.verdicts import to_json, verdicts, write
    from normlab.records.places import RESULTS
    from normlab.records.store import Store

    asked = [load_claim(slug).slug for slug in slugs]
    store = Store(results or RESULTS)
    rows = verdicts(load_all(), store)
    store.folder.mkdir(parents=True, exist_ok=True)
    write(rows, store.folder)
    if asked:
        rows = [row for row in rows if row["slug"] in asked]
    if as_json:
        print(to_json(rows), end="")
    else:
        _print_table(rows)


def _print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """A line for a claim of one part; for others, one for the claim and one for each part."""
    from normlab.cli.tables import STYLES, claim_console, plain_table, styled

    table = plain_table("claim", "verdict", "evidence", "finding")
    for row in rows:
        evidence = f"{row['profile']}, n = {row['n']}" if row["profile"] else ""
        several = len(row["parts"]) > 1
        finding = _notes(row) if several else [row["parts"][0]["text"], *_notes(row)]
        word = styled(row["verdict"], STYLES.get(row["verdict"]))
        table.add_row(row["slug"], word, evidence, "\n".join(finding))
        for part in row["parts"] if several else ():
            word = styled(part["verdict"], STYLES.get(part["verdict"]))
            table.add_row(f"  {part['name']}", word, "", part["text"])
    claim_console().print(table)


def _notes(row: Mapping[str, Any]) -> list[str]:
    """What is missing, and what is stale."""
    notes = [*row["missing"], *(f"stale: {reason}" for reason in row["stale"])]
    return [f"[dim]{note}[/dim]" for note in notes]
