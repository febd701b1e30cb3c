"""`normlab audit`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from normlab.cli.options import MODEL_NAME, Json

if TYPE_CHECKING:
    from normlab.tools.audit.finding import Finding


def audit(
    model: Annotated[str, typer.Argument(help=f"{MODEL_NAME} Or last.ckpt of train.py.")],
    world_size: Annotated[int, typer.Option(help="Data parallel processes.")] = 1,
    batch_per_device: Annotated[
        int | None,
        typer.Option(help="Training samples on one.  [default: 16, or the checkpoint's]"),
    ] = None,
    dataset_size: Annotated[
        int | None, typer.Option(help="Training samples of an epoch: for its last batch.")
    ] = None,
    evaluation: Annotated[
        bool, typer.Option("--eval", help="In eval mode, not as it is trained.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look for the failure modes of norms that the claims measured; each finding names its
    record."""
    import json
    import sys

    from normlab.tools.audit.by_name import audit_by_name

    findings = audit_by_name(
        model, world_size, batch_per_device, dataset_size, training=not evaluation
    )
    if not as_json:
        print(findings)
        return
    rows = [_row(finding) for finding in findings]
    print(json.dumps(rows, indent=1, ensure_ascii=False))
    # What was not looked at is no finding; it must not be lost either.
    for layer in findings.unread:
        print(f"not read: {layer}", file=sys.stderr)
    for note in findings.notes:
        print(f"not looked for: {note}", file=sys.stderr)


def _row(finding: "Finding") -> dict[str, Any]:
    """A finding with the verdicts that it rests on, for JSON."""
    from dataclasses import asdict

    evidence = [{**asdict(one), "record": asdict(one.recorded())} for one in finding.evidence]
    return {**asdict(finding), "evidence": evidence}
