"""`normlab recheck`."""

from typing import Annotated

import typer

from normlab.cli.options import Results, Workers


def recheck(
    slugs: Annotated[list[str] | None, typer.Argument(help="Claims; all if left out.")] = None,
    workers: Workers = None,
    results: Results = None,
) -> None:
    """After a change that changes no result: run a trial of each kind again, compare each bit."""
    from normlab.claims.registry import load_all, load_claim
    from normlab.claims.run import recheck as rechecking
    from normlab.claims.run.engines import build_engine
    from normlab.records.places import EXPERIMENTS, RESULTS
    from normlab.records.store import Store
    from normlab.score.recheck import recheck_scores
    from normlab.score.run import FOLDER

    claims = [load_claim(slug) for slug in slugs] if slugs else load_all()
    engine = build_engine("local", workers, EXPERIMENTS)
    rows = rechecking.recheck(claims, Store(results or RESULTS), engine, EXPERIMENTS)
    if not slugs:
        rows += recheck_scores((results or RESULTS) / FOLDER, workers)
    others = sum(not row["same"] for row in rows)
    print(
        f"{len(rows)} trials run again: {len(rows) - others} gave the same bits, {others} did not."
    )
    if others:
        print("Those stay stale: `normlab run --renew` runs every such trial anew.")
        raise SystemExit(1)
