"""What the first generation of rules gave for each claim, one line each, for the claims' cards.

python scripts/first_generation.py VERDICTS.json [RESULTS]

VERDICTS.json is the file of that generation; first_generation.json is written into the results.
Run once: the file stays as it is, whatever is decided later.
"""

import json
import sys
from collections import Counter
from pathlib import Path

from normlab.claims.registered import FIRST_GENERATION
from normlab.records.files import write_atomically
from normlab.records.verdict import NO_DATA, VERDICTS, Verdict, read_verdicts
from normlab.records.words import effect, listed


def line(verdict: Verdict) -> str:
    """Where it came from, and its effect, or how many of its parts came out how."""
    where = f"n = {verdict.n} ({verdict.profile} profile)"
    if len(verdict.parts) == 1:
        return f"{effect(verdict.parts[0]) or verdict.parts[0].text}, {where}"
    times = Counter(part.verdict for part in verdict.parts)
    counted = [f"{times[word]} {word}" for word in VERDICTS if times[word]]
    return f"of {len(verdict.parts)} parts {listed(counted)}, {where}"


def main() -> None:
    """Read the one, write the other."""
    source = Path(sys.argv[1])
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("results")
    assert source.name == "verdicts.json", "verdicts are read from a folder's verdicts.json"
    rows = {}
    for slug, verdict in read_verdicts(source.parent).items():
        if verdict.verdict != NO_DATA:
            text = line(verdict)
            about = {"version": "first generation", "verdict": verdict.verdict, "text": text}
            rows[slug] = about
    content = json.dumps(rows, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_atomically(folder / FIRST_GENERATION, content)


if __name__ == "__main__":
    main()
