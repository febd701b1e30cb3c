"""Whether records were made by the code that is here now; if not, which files differ."""

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from normlab.records import Record, code_state, source_hashes


def note_sources(folder: Path) -> None:
    """Keep in results/sources.json which files a source hash stands for, so that a record needs only the hash."""
    path = folder / "sources.json"
    known = _read(path)
    source = code_state()["source"]
    if source in known:
        return
    known[source] = source_hashes()
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    os.replace(partial, path)


def stale_reasons(records: Sequence[Record], folder: Path) -> list[str]:
    """What has changed since `records` were made, or between them: files of ours, or the data. Empty: nothing."""
    reasons = []
    known, now = _read(folder / "sources.json"), source_hashes()
    for source in sorted({str(record.code.get("source")) for record in records} - {code_state()["source"]}):
        before = known.get(source)
        if before is None:
            reasons.append(f"made by code that is not known here ({source})")
            continue
        files = sorted(file for file in before.keys() | now.keys() if before.get(file) != now.get(file))
        reasons.append(f"code changed since: {', '.join(files)}")
    by_options: dict[str, set[str]] = defaultdict(set)
    for record in records:
        options = {k: v for k, v in record.config.get("data", {}).items() if "batch_size" not in k}
        by_options[json.dumps(options, sort_keys=True)].add(record.data.get("fingerprint", ""))
    if any(len(fingerprints) > 1 for fingerprints in by_options.values()):
        reasons.append("the data changed between trials")
    return sorted(set(reasons))


def _read(path: Path) -> dict[str, dict[str, str]]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
