"""`python -P run_jobs.py EXPERIMENTS`: run jobs with the normlab that is on PYTHONPATH.

A script by itself: the normlab that it imports is that of an earlier commit. Its input has a job in
each line, as JSON; its output has the record of each, as soon as it is there.
"""

import dataclasses
import json
import os
import sys
from pathlib import Path


def main() -> None:
    # What a trial prints goes to the errors: the output is for records.
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        from normlab.claims.design import Job
        from normlab.claims.run.execute import execute
    except ImportError:  # of the first generation
        from normlab.claims.execute import execute  # type: ignore[no-redef]
        from normlab.claims.plan import Job  # type: ignore[no-redef]
    # Of the first generation of rules, which told stages apart.
    staged = "stage" in {item.name for item in dataclasses.fields(Job)}
    for line in sys.stdin.read().splitlines():
        fields = json.loads(line)
        if staged:
            fields["stage"] = "evaluate"
        fields["overrides"] = tuple(fields["overrides"])
        if fields["options"] is not None:
            fields["options"] = tuple((name, value) for name, value in fields["options"])
        try:
            record = execute(Job(**fields), Path(sys.argv[1]))
        except Exception as error:  # this code makes another key of the job, say
            print(f"{fields['key']}: {type(error).__name__}: {error}", file=sys.stderr)
        else:
            print(record.to_json(), file=output, flush=True)


if __name__ == "__main__":
    main()
