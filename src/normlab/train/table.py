"""What a sweep ends with: its groups over seeds, the jobs that failed, and a count of all."""

import json
import sys
from pathlib import Path

from normlab.records.record import Record
from normlab.records.store import DONE


def print_table(folder: Path) -> int:
    """Print what the jobs of a sweep have left in `folder`; returns how many failed."""
    outcomes = [json.loads(file.read_text()) for file in sorted(folder.iterdir())]
    if not outcomes:
        return 0
    from normlab.records.console import plain_console
    from normlab.report.comparison.compare import METRICS, compare
    from normlab.report.comparison.runs import failure_lines, once_each
    from normlab.report.comparison.tables import notes, terminal

    # Of the record's class: what a job of this very version has written.
    records = [Record(**outcome["summary"]) for outcome in outcomes]
    comparison = compare(once_each(records), metrics=(*METRICS, "val_loss"))
    console = plain_console(200)
    console.print(terminal(comparison))
    for sentence in (*notes(comparison), *failure_lines(comparison.failures)):
        console.print(sentence, highlight=False)
    failed = sum(record.status not in DONE for record in records)
    skipped = sum(outcome["skipped"] for outcome in outcomes)
    counted = f"{len(records)} job{'s' * (len(records) > 1)}: {len(records) - failed} done"
    counted += f" ({skipped} of them before)" * bool(skipped)
    console.print(f"{counted}, {failed} failed.", highlight=False)
    _log(records, folder.name, Path(outcomes[0]["folder"]))
    return failed


def _log(records: list[Record], sweep: str, folder: Path) -> None:
    """The table to wandb as well, where the jobs are logged there."""
    asked = [record.section("logger").get("wandb") for record in records]
    options = next((one for one in asked if isinstance(one, dict)), None)
    if options is None or not any(record.status in DONE for record in records):
        return
    from normlab.report.comparison.compare import compare
    from normlab.report.comparison.runs import once_each
    from normlab.report.comparison.wandb_run import log_comparison

    project, group = str(options.get("project")), str(options.get("group") or sweep)
    try:
        log_comparison(compare(once_each(records)), folder, project, group)
    except Exception as error:  # whatever wandb raises: the records count, not this
        reason = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".")
        print(f"warning: wandb has no comparison of this sweep ({reason}).", file=sys.stderr)
