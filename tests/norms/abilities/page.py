"""docs/abilities.md: the tables of what was found."""

from collections import defaultdict
from pathlib import Path

from abilities.all import ABILITIES
from abilities.cases import CASES, Case
from abilities.table import WITHOUT, YES, Found, found, torch_of

PAGE = Path(__file__).resolve().parents[3] / "docs" / "abilities.md"

TITLES = {
    "autograd": "Gradients",
    "tracing": "Compilers, exporters, tracers and other machinery",
    "edges": "Inputs, dtypes and checkpoints of others",
}
HEAD = """# What a norm can do

Built by `python scripts/abilities.py` from what tests found with torch {version}; they find it
again in every run. *no* is a sentence of ours, the number says which. Where torch has the same
layer and answers otherwise, its answer stands behind. `-` is nothing to ask.
"""


def page() -> str:
    """The page, of what was found."""
    groups = list(dict.fromkeys(one.group for one in ABILITIES))
    parts = [HEAD.format(version=torch_of(groups[0]))]
    for group in sorted(groups, key=list(TITLES).index):
        sentences: dict[str, int] = {}
        parts.append(f"## {TITLES[group]}\n\n{_table(found(group), sentences)}")
        if sentences:
            said = [f"{number}. {sentence}" for sentence, number in sentences.items()]
            parts.append("\n".join(said) + "\n")
    return "\n".join(parts)


def _table(result: Found, sentences: dict[str, int]) -> str:
    rows: dict[tuple[str, ...], list[Case]] = defaultdict(list)
    for case in CASES:
        cells = [_cell(cases.get(str(case)), sentences) for cases in result.values()]
        rows[tuple(cells)].append(case)
    head = ["norm", *result]
    lines = [head, ["---"] * len(head)]
    lines += [[_named(cases), *cells] for cells, cases in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(pair: list[str | None] | None, sentences: dict[str, int]) -> str:
    if pair is None or pair[0] is None:
        return WITHOUT
    ours, torchs = pair
    text = ours
    if ours != YES:
        number = sentences.setdefault(ours.removeprefix("no: "), len(sentences) + 1)
        text = f"no ({number})"
    differs = torchs is not None and torchs != ours[: len(torchs)]
    return f"{text}, torch {torchs}" if differs else text


def _named(cases: list[Case]) -> str:
    """Kinds, with layouts and memory formats where not all of a kind are in this row."""
    kinds: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        kinds[case.kind].append(case)
    names = []
    for kind, some in kinds.items():
        every = [case for case in CASES if case.kind == kind]
        left = "" if len(some) == len(every) else f" ({', '.join(_places(some, every))})"
        names.append(f"{kind}{left}")
    return "; ".join(names)


def _places(some: list[Case], every: list[Case]) -> list[str]:
    places = []
    for layout in dict.fromkeys(case.layout for case in some):
        here = [case.memory_format for case in some if case.layout == layout]
        of_all = [case.memory_format for case in every if case.layout == layout]
        whole = len(here) == len(of_all)
        places += [layout] if whole else [f"{layout} {one or 'contiguous'}" for one in here]
    return places
