"""`normlab verdict`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.cli.options import Json, Results

if TYPE_CHECKING:
    from normlab.records.verdict import Verdict


def verdict(
    slugs: Annotated[list[str] | None, typer.Argument(help="Claims; all if left out.")] = None,
    as_json: Json = False,
    results: Results = None,
    prove: Annotated[
        bool,
        typer.Option(
            "--prove", help="Check that the commit of every deciding record holds its rule."
        ),
    ] = False,
) -> None:
    """Decide claims from their records and write results/verdicts.json."""
    if prove:
        sys.exit(_prove(slugs or (), results))
    decided = print_verdicts(slugs or (), results, as_json=as_json)
    broken = [one.slug for one in decided if _is_broken(one)]
    if broken:
        names = ", ".join(broken)
        print(f"error: a rule, or the answer, of {names} cannot be computed.", file=sys.stderr)
        sys.exit(1)


def _prove(slugs: Sequence[str], results: Path | None) -> int:
    """Print what the records of claims do not prove, or that nothing is missing; exit status."""
    from normlab.claims.registry import load_all, load_claim
    from normlab.claims.run.proof import problems
    from normlab.claims.verdicts import verdicts
    from normlab.records.places import RESULTS
    from normlab.records.store import Store

    claims = [load_claim(slug) for slug in slugs] or load_all()
    store = Store(results or RESULTS)
    found = problems(claims, verdicts(claims, store), store)
    for problem in found:
        print(problem, file=sys.stderr)
    if not found:
        print("The commit of every record that decides holds the version of its claim.")
    return int(bool(found))


def _is_broken(verdict: "Verdict") -> bool:
    from normlab.claims.decided import BROKEN_ANSWER, BROKEN_RULE

    broken = any(part.text.startswith(BROKEN_RULE) for part in verdict.parts)
    return broken or verdict.answer.startswith(BROKEN_ANSWER)


def print_verdicts(
    slugs: Sequence[str], results: Path | None = None, *, as_json: bool = False
) -> list["Verdict"]:
    """Decide all claims, write verdicts.json, and print those asked for, which are returned.

    All if none is asked for.
    """
    from normlab.claims.family import family
    from normlab.claims.registry import load_all, load_claim
    from normlab.claims.verdicts import verdicts, write
    from normlab.records.places import RESULTS
    from normlab.records.store import Store
    from normlab.records.verdict import to_json

    # First, so that an unknown name is refused before anything is decided.
    asked = [load_claim(slug).slug for slug in slugs]
    store = Store(results or RESULTS)
    # All of them, whichever are asked for: verdicts.json holds every claim.
    decided = verdicts(load_all(), store)
    store.folder.mkdir(parents=True, exist_ok=True)
    write(decided, store.folder)
    if asked:
        decided = [one for one in decided if one.slug in asked]
    if as_json:
        print(to_json(decided), end="")
    else:
        _print_table(decided)
        if not asked:
            print(family(decided).words)
    return decided


def _print_table(decided: Sequence["Verdict"]) -> None:
    """A line for a claim of one part; for others, one for the claim and one for each part.

    The claim's answer comes first; scope is marked.
    """
    from normlab.cli.tables import STYLES, claim_console, in_lines, plain_table, styled
    from normlab.report.again import again_marks

    table = plain_table("claim", "verdict", "evidence", "finding")
    for one in decided:
        evidence = f"{one.profile}, n = {one.n}" if one.profile else ""
        several = len(one.parts) > 1
        # What is missing, and what is stale.
        notes = [*one.missing, *(f"stale: {reason}" for reason in one.stale)]
        notes += again_marks(one)
        finding = [styled(note, "dim") for note in notes]
        if not several:
            finding.insert(0, styled(one.parts[0].text, None))
        if one.answer:
            finding.insert(0, styled(one.answer, "bold"))
        word = styled(one.verdict, STYLES.get(one.verdict))
        table.add_row(one.slug, word, evidence, in_lines(finding))
        for part in one.parts if several else ():
            word = styled(part.verdict, STYLES.get(part.verdict))
            name = part.name if part.decides else f"(scope) {part.name}"
            table.add_row(f"  {name}", word, "", part.text)
    claim_console().print(table)
