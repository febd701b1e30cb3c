"""`normlab contribute`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.cli.options import Results

if TYPE_CHECKING:
    from normlab.records.bundle import Bundle


def contribute(
    slugs: Annotated[
        list[str] | None, typer.Argument(help="Claims, beside all that are about time.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The bundle.  [default: contribution-MACHINE.jsonl]")
    ] = None,
    read: Annotated[
        Path | None,
        typer.Option("--read", help="Check the bundle of another machine, and keep it apart."),
    ] = None,
    results: Results = None,
) -> None:
    """Write the records of this machine into one file to send, or read such a file."""
    from normlab.errors import NormLabError
    from normlab.records.places import RESULTS

    folder = results or RESULTS
    if read is None:
        _send(slugs or [], out, folder)
    elif slugs or out is not None:
        raise NormLabError("--read keeps a whole bundle: leave claims and --out out.")
    else:
        _read(read, folder)


def _send(slugs: list[str], out: Path | None, folder: Path) -> None:
    from normlab.claims.run.contribute import collect
    from normlab.errors import NormLabError
    from normlab.records.bundle import to_text
    from normlab.records.files import write_atomically
    from normlab.records.machines import machine_named

    # Before anything is read, since it takes a while.
    if (Path() if out is None else out.parent).resolve() == folder.resolve():
        raise NormLabError(
            f"files in {folder}/ are records, and the bundle is none: name another --out."
        )
    bundle = collect(slugs, folder)
    path = out or Path(f"contribution-{machine_named(bundle.lines[0].row).folder}.jsonl")
    write_atomically(path, to_text(bundle))
    print(f"{path}: {_counts(bundle)}")
    print("How to send it: docs/bench.md, Send your machine's records.", file=sys.stderr)


def _counts(bundle: "Bundle") -> str:
    rows = sum(line.is_benchmark for line in bundle.lines)
    trials = len(bundle.lines) - rows
    claims = ", ".join(bundle.claims) or "no claim"
    return f"{trials} trials of {claims}; {rows} rows of benchmarks"


def _read(path: Path, folder: Path) -> None:
    from normlab.claims.registry import load_claim
    from normlab.claims.run.accept import accept
    from normlab.claims.verdicts import verdict
    from normlab.records.store import Store
    from normlab.report.again import elsewhere_in_words

    bundle, kept = accept(path, folder)
    for one in kept:
        print(f"{one.machine.label}: {one.trials} trials and {one.rows} rows in {one.folder}/")
    store = Store(folder)
    for slug in bundle.claims:
        found = verdict(load_claim(slug), store)
        print(f"{slug}: {found.verdict} here")
        for again in found.elsewhere:
            print(f"  {elsewhere_in_words(again, found.verdict)}")
