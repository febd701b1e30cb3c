"""docs/zoo.md, from the rows of results/zoo.jsonl: totals, and the reasons of what failed."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from normlab.measure.zoo.rows import Row

_SHOWN = 12  # reasons of one kind, the most frequent; the rest is counted
_EQUAL = ("equal", "equal in float64", "equal but for ties")

_HEAD = """# The zoo

Networks of other libraries, built from small configurations with random weights: of each family of
torchvision and timm the smallest, and each type of `transformers`. Each one is audited, folded,
converted (BatchNorm to GroupNorm, LayerNorm to RMSNorm and so on) and trained for a step, in a
process of its own with limits on CPU time and memory.

```bash
normlab zoo                                # goes on where it stopped; hours
normlab zoo --library timm
normlab zoo --only timm:resnet10t          # again, whatever the table has
```

`results/zoo.jsonl` has a row for each network. `normlab report` builds this page from the rows.
"""
_TERMS = """
- *built*: with at most 150 million parameters. A network *runs* where one of the inputs that the
  zoo knows fits it.
- *foldable*: batch norms that are folded, and those that stay for the code around them alone.
  Others have no layer beside them that could take them over exactly; their reasons are below.
- *equal*: outputs within 1e-4 of the largest value in float32, with gains, shifts and statistics
  that differ from layer to layer. Else within 1e-9 in float64; or equal but for ties, where noise
  as small as rounding in float64 changes the outputs of the network itself, too.
- *step*: of SGD, with a finite output and finite parameters; of the networks that take one as they
  were built.
"""


def zoo_page(rows: Iterable[Row]) -> str:
    """The page; the same rows give the same text."""
    ordered = sorted(rows, key=lambda row: row.network)
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in ordered:
        groups[row.library].append(row)
    parts = [_HEAD, _totals(groups), _TERMS]
    parts += [_findings(ordered), *_reasons(ordered)]
    return "\n".join(part.strip("\n") + "\n" for part in parts if part)


def _totals(groups: Mapping[str, Sequence[Row]]) -> str:
    versions = [_of_all(row.version for row in rows) for rows in groups.values()]
    names = [f"{name} {version}" for name, version in zip(groups, versions, strict=True)]
    lines = [f"| | {' | '.join(names)} |", f"| --- |{' ---: |' * len(groups)}"]
    for words, number in _NUMBERS.items():
        lines.append(f"| {words} | {' | '.join(number(rows) for rows in groups.values())} |")
    code = _of_all(row.code for row in _all(groups.values()))
    torch = _of_all(row.torch for row in _all(groups.values()))
    networks = sum(len(rows) for rows in groups.values())
    return (
        "\n".join(lines)
        + f"\n\nOf the {networks} networks that the table has so far, measured with "
        f"torch {torch} and code {code}. It is whole when `normlab zoo` finds nothing left to do.\n"
    )


def _all(groups: Iterable[Sequence[Row]]) -> list[Row]:
    return [row for rows in groups for row in rows]


def _of_all(values: Iterable[str]) -> str:
    """The one value that all have; several, with how many have each."""
    counted = Counter(values).most_common()
    if len(counted) == 1:
        return counted[0][0]
    return ", ".join(f"{value} ({count})" for value, count in counted)


def _built(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.parameters is not None]


def _with_norms(rows: Sequence[Row]) -> list[Row]:
    return [row for row in _built(rows) if sum(row.norms.values())]


def _run(rows: Sequence[Row]) -> list[Row]:
    return [row for row in _built(rows) if "input" not in row.reasons]


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}" + (f" ({100 * part / whole:.4g} %)" if whole else "")


def _converted(rows: Sequence[Row]) -> str:
    there = _with_norms(rows)
    return _share(
        sum("convert" not in row.reasons and bool(row.converted) for row in there), len(there)
    )


def _norms_converted(rows: Sequence[Row]) -> str:
    there = _built(rows)
    norms = sum(sum(row.norms.values()) for row in there)
    return _share(sum(row.converted or 0 for row in there), norms)


def _stepped(rows: Sequence[Row]) -> str:
    tried = [row for row in _with_norms(rows) if row.step in ("ok", "refused", "failed")]
    return _share(sum(row.step == "ok" for row in tried), len(tried))


def _folded(rows: Sequence[Row]) -> str:
    folded = sum(row.folded for row in rows)
    return _share(folded, folded + sum(row.missed for row in rows))


def _equal(rows: Sequence[Row]) -> str:
    compared = [row for row in rows if row.folded and row.fold in (*_EQUAL, "differs")]
    return _share(sum(row.fold in _EQUAL for row in compared), len(compared))


def _crashes(rows: Sequence[Row]) -> str:
    return str(sum("audit" in row.reasons for row in _built(rows)))


def _largest(rows: Sequence[Row]) -> str:
    differences = [row.fold_difference for row in rows if row.fold == "equal" and row.folded]
    return f"{max(one or 0.0 for one in differences):.1e}" if differences else ""


_NUMBERS: dict[str, Callable[[Sequence[Row]], str]] = {
    "families": lambda rows: str(len(rows)),
    "built": lambda rows: _share(len(_built(rows)), len(rows)),
    "of these run": lambda rows: _share(len(_run(rows)), len(_built(rows))),
    "networks with norms, converted": _converted,
    "norms converted": _norms_converted,
    "take a step afterwards": _stepped,
    "batch norms": lambda rows: str(sum(row.batch_norms or 0 for row in rows)),
    "foldable ones folded": _folded,
    "folded networks equal": _equal,
    "largest difference of those equal in float32": _largest,
    "crashes of the audit": _crashes,
    "with a finding, freshly built": lambda rows: str(sum(bool(row.findings) for row in rows)),
    "CPU hours": lambda rows: f"{sum(row.seconds for row in rows) / 3600:.1f}",
}


def _findings(rows: Sequence[Row]) -> str:
    """What the audit finds in train mode, freshly built, by finding."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in rows:
        for name, reason in (row.findings or {}).items():
            found[name].append((row.network, reason))
    lines = ["## Findings in freshly built networks", ""]
    for name, where in sorted(found.items(), key=lambda one: (-len(one[1]), one[0])):
        network, reason = where[0]
        more = f" and {len(where) - 1} more" if len(where) > 1 else ""
        lines.append(f"- `{name}`: {network}{more}. {_plain(reason)}")
    return "\n".join(lines if found else [*lines, "None."])


def _reasons(rows: Sequence[Row]) -> list[str]:
    """What failed, by stage: each reason with how many networks, or norms, have it."""
    parts = []
    for stage, title in _TITLES.items():
        pairs = [(row.network, row.reasons[stage], 1) for row in rows if stage in row.reasons]
        parts.append(_grouped(title, pairs))
    differing = []
    for row in rows:
        if row.fold in ("differs", "not finite", *_EQUAL[1:]):
            differing.append((row.network, f"{row.fold}; in float32 {row.fold_difference}", 1))
    parts.append(_grouped("Folded, and not equal in float32", differing))
    left = [(row.network, reason, count) for row in rows for reason, count in row.left.items()]
    parts.append(_grouped("Norms that are not converted", left))
    kept = [(row.network, reason, count) for row in rows for reason, count in row.kept.items()]
    parts.append(_grouped("Batch norms that are not folded", kept))
    return parts


_TITLES = {
    "build": "Not built",
    "input": "No input known",
    "convert": "Conversion failed",
    "step": "No training step",
    "fold": "Folding or its comparison failed",
    "audit": "The audit crashed",
}


def _grouped(title: str, pairs: Sequence[tuple[str, str, int]]) -> str:
    """A section with a line for each reason: (network, reason, count)."""
    if not pairs:
        return ""
    groups: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    for network, reason, count in pairs:
        groups[re.sub(r"\d[\d., ()\[\]x-]*|'[^']*'|\b\w+(?=\.forward)", "N", reason)].append(
            (network, reason, count)
        )
    lines = [f"## {title}", ""]
    sizes = {key: sum(count for _, _, count in one) for key, one in groups.items()}
    order = sorted(groups, key=lambda key: (-sizes[key], key))
    for key in order[:_SHOWN]:
        network, reason, _ = groups[key][0]
        networks = len({one for one, _, _ in groups[key]})
        more = f" and {networks - 1} more" if networks > 1 else ""
        lines.append(f"- {sizes[key]}: {_plain(reason)} ({network}{more})")
    if len(order) > _SHOWN:
        rest = sum(sizes[key] for key in order[_SHOWN:])
        lines.append(f"- {rest} for {len(order) - _SHOWN} other reasons")
    return "\n".join(lines)


def _plain(reason: str) -> str:
    """One line of a page, without what Markdown or a reader would stumble over."""
    line = " ".join(reason.split()).replace("<", "‹").replace(">", "›").replace("|", "/")
    line = re.sub(r"(?<!\w)/(?:[\w.-]+/)+", "", line)  # folders of this machine
    line = re.sub(r"https?://\S+", "", line).replace("*", r"\*").replace("_", r"\_")
    return line if len(line) <= 220 else f"{line[:217]}..."
