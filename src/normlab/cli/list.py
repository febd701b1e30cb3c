"""`normlab list`."""

from normlab.cli.options import Json, Results


def list_claims(as_json: Json = False, results: Results = None) -> None:
    """Every claim and its last verdict."""
    import json

    from normlab.claims.registry import load_all
    from normlab.cli.tables import STYLES, claim_console, plain_table, styled
    from normlab.records.places import RESULTS, newest
    from normlab.records.verdict import FILE, NO_DATA, read_verdicts

    folder = results or RESULTS
    # Without the file nothing is decided yet; with a damaged one that must not be claimed.
    decided = read_verdicts(folder) if newest(folder, FILE).exists() else {}
    words = {slug: verdict.verdict for slug, verdict in decided.items()}
    rows = [
        {
            "slug": claim.slug,
            "verdict": words.get(claim.slug, NO_DATA),
            "statement": claim.statement,
        }
        for claim in load_all()
    ]
    if as_json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    table = plain_table("claim", "verdict", "statement")
    for row in rows:
        verdict = styled(row["verdict"], STYLES.get(row["verdict"]))
        table.add_row(row["slug"], verdict, row["statement"])
    claim_console().print(table)
