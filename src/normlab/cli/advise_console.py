"""What `normlab advise` prints."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from normlab.norms.registry import declared_kinds
from normlab.records.places import RESULTS
from normlab.records.verdict import read_verdicts
from normlab.records.words import MINUS
from normlab.tools.advise.answer import Advice, Ranked, advise
from normlab.tools.advise.situation import INPUTS, complete


def advise_from_console(given: dict[str, Any], as_json: bool, results: Path | None) -> None:
    """Ask what is missing, then print the answer."""
    rows = read_verdicts(results or RESULTS)
    advice = advise(complete(given), rows, declared_kinds())
    if as_json:
        print(json.dumps(advice.as_json(), indent=1, ensure_ascii=False))
    else:
        print("\n".join(lines(advice)))


def lines(advice: Advice) -> list[str]:
    """The answer in plain text, without wrapping."""
    s = advice.situation
    said = (
        f"{s.input}: {INPUTS[s.input]}; {s.batch} on each of {s.devices} device{'s' * (s.devices > 1)}; "
        f"{'variable' if s.varying else 'fixed'} length; {'must' if s.fold else 'need not'} fold; depth {s.depth}; "
        f"{'with' if s.warmup else 'without'} warm-up"
    )
    text = [said, "", "Norms, by reasons for less reasons against (ties by name):"]
    text += _ranking(advice.norms)
    if s.transformer:
        text += ["", "Placements:", *_ranking(advice.placements)]
    if advice.notes:
        text += ["", "Decided, and for or against none:"]
        text += [f"  · {reason.sentence} [{reason.source}]" for reason in advice.notes]
    if advice.missing:
        text += ["", "Evidence that is missing here:"]
        for gap in advice.missing:
            name = f"{gap.slug}, {gap.part}" if gap.part else gap.slug
            text.append(
                f"  ? {name}: {gap.why}" + (f" (on {', '.join(gap.names)})" if gap.names else "")
            )
    if advice.unranked:
        text += ["", f"No decided verdict speaks here of: {', '.join(advice.unranked)}."]
    return text


def _ranking(items: Sequence[Ranked]) -> list[str]:
    if not items:
        return ["  no decided verdict speaks for or against any"]
    text = []
    for place, item in enumerate(items, 1):
        score = f"{item.score:+d}".replace("-", MINUS) if item.score else "0"
        text.append(
            f" {place}. {item.name}  {score} ({len(item.pros)} for, {len(item.cons)} against)"
        )
        text += [f"      + {reason.sentence} [{reason.source}]" for reason in item.pros]
        text += [f"      {MINUS} {reason.sentence} [{reason.source}]" for reason in item.cons]
    return text
