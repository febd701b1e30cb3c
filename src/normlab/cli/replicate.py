"""`normlab replicate`."""

import sys
import time
from typing import Annotated

import typer

from normlab.cli.options import Minutes, Results, Workers


def replicate(
    slugs: Annotated[
        list[str] | None, typer.Argument(help="Claims; all that are decided if left out.")
    ] = None,
    share: Annotated[
        float | None, typer.Option(help="A random share of them, 0.1 for a tenth.")
    ] = None,
    draw: Annotated[int, typer.Option(help="Which random share.")] = 0,
    workers: Workers = None,
    minutes: Minutes = None,
    results: Results = None,
) -> None:
    """Run decided claims again with seeds never used before, and say which verdicts held."""
    from normlab.claims.registry import load_all, load_claim
    from normlab.claims.replications import rate_in_words, replications
    from normlab.claims.run.committed import check_committed
    from normlab.claims.run.replicate import chosen
    from normlab.claims.run.replicate import replicate as run
    from normlab.claims.verdicts import verdicts
    from normlab.records.places import RESULTS
    from normlab.records.store import Store

    began = time.perf_counter()
    folder = results or RESULTS
    commit = check_committed(folder)
    claims = [load_claim(slug) for slug in slugs] if slugs else load_all()
    pairs = chosen(claims, verdicts(claims, Store(folder)), share, draw)
    deadline = None if minutes is None else began + 60 * minutes
    done, tally = run(pairs, folder, commit, workers=workers, deadline=deadline)
    for message in tally.messages:
        print(message, file=sys.stderr)
    for row in done:
        word = "held" if row.held else "did not hold"
        print(f"{row.slug}: {row.before}, now {row.now}: {word} (seeds from {row.first_seed})")
    left = len(pairs) - len(done)
    if left:
        print(f"{left} not complete: run again to go on.", file=sys.stderr)
    if words := rate_in_words(replications(folder)):
        print(words)
