"""`normlab report`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from normlab.cli.options import Results


def report(
    results: Results = None,
    out: Annotated[
        Path | None, typer.Option(help="First page.  [default: report/index.html in the results]")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 and say what is out of date.")
    ] = False,
) -> None:
    """Build a page of all claims, one of each, the table in README.md and verdicts.json from the
    records."""
    from normlab.records.places import RESULTS
    from normlab.report.build import built, out_of_date, write

    texts = built(results or RESULTS, out)
    old = out_of_date(texts)
    if check:
        # Pages are not committed, so that they may be missing.
        old = [path for path in old if path.is_file() or path.suffix != ".html"]
        if old:
            files = ", ".join(_shown(path) for path in old)
            print(f"out of date, run `normlab report`: {files}", file=sys.stderr)
            sys.exit(1)
        return
    write({path: texts[path] for path in old})
    claims = [path for path in texts if path.parent.name == "claims" and path.suffix == ".html"]
    for path in texts:
        if path not in claims:
            print(f"{_shown(path)}: {'written' if path in old else 'up to date'}")
    if claims:
        written = sum(path in old for path in claims)
        print(f"{_shown(claims[0].parent)}: {len(claims)} pages, {written} written")


def _shown(path: Path) -> str:
    """Seen from the checkout, or from the working folder where the package is installed."""
    from normlab.records.places import CHECKOUT

    home = CHECKOUT or Path.cwd()
    return str(path.relative_to(home) if path.is_relative_to(home) else path)
