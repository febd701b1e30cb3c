"""Abilities of norms: functions that try one, and what came out, as docs/abilities.md prints it.

    @ability("double backward", group="autograd")
    def double_backward(case: Case) -> None:
        ...  # raises AssertionError on a wrong number

An ability that torch's layers have takes a case of either, ours or torch's: `build(case)` sees to
it. `outcomes/<group>.json` holds what the last run of `python scripts/abilities.py` found; the
tests find it again.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch

from abilities.cases import CASES, Case
from normlab.errors import NormLabError

OUTCOMES = Path(__file__).parent / "outcomes"
YES, WITHOUT = "yes", "-"  # WITHOUT: the ability asks nothing of this case


class Ability(NamedTuple):
    name: str
    group: str
    attempt: Callable[[Case], None]
    applies: Callable[[Case], bool]
    slow: bool = False  # of torch's layers, and of ours in some layouts, only the script asks

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


ABILITIES: list[Ability] = []


def of_slow(case: Case) -> bool:
    """Whether the suite, too, asks a slow ability of it, and not only the script.

    One case of each kind, in the memory format in which most went wrong.
    """
    return case.memory_format == "channels_last" or case.kind == "causal_batchnorm"


def in_suite(one: Ability, case: Case) -> bool:
    """Whether the suite, too, asks it, and not only the script.

    NCL and NCDHW are views of NCHW: test_layouts.py holds them to its bits.
    """
    return of_slow(case) if one.slow else case.layout not in ("NCL", "NCDHW")


def ability(
    name: str,
    *,
    group: str,
    applies: Callable[[Case], bool] = lambda case: True,
    slow: bool = False,
) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
    """Declares an ability; `applies` says of which cases it is asked."""

    def declare(attempt: Callable[[Case], None]) -> Callable[[Case], None]:
        ABILITIES.append(Ability(name, group, attempt, applies, slow))
        return attempt

    return declare


def outcome(one: Ability, case: Case) -> str:
    """ "yes", or "no: " and our sentence. Every other exception is raised: it is a mistake."""
    if not one.applies(case):
        return WITHOUT
    try:
        one.attempt(case)
    except NormLabError as error:
        return f"no: {' '.join(str(error).split())}"
    return YES


def twin_outcome(one: Ability, case: Case) -> str | None:
    """ "yes" or "no" of torch's layer, None where there is none."""
    twin = case.twin
    if twin is None or not one.applies(case):
        return None
    try:
        one.attempt(twin)
    except Exception:  # whatever torch raises
        return "no"
    return YES


@contextmanager
def one_process() -> Iterator[None]:
    """A process group of one, for syncbatchnorm, where there is none."""
    import torch.distributed as dist

    if dist.is_initialized():
        yield
        return
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


Found = dict[str, dict[str, list[str | None]]]  # ability -> case -> [ours, torch's]


def found(group: str) -> Found:
    """What the last run found."""
    path = OUTCOMES / f"{group}.json"
    return json.loads(path.read_text())["found"] if path.exists() else {}


def torch_of(group: str) -> str:
    """The version of torch that ran then."""
    path = OUTCOMES / f"{group}.json"
    return json.loads(path.read_text())["torch"] if path.exists() else ""


def run(group: str, cases: Iterable[Case] = CASES) -> tuple[Found, list[str]]:
    """Tries all abilities of a group; what was found, and a line for each mistake."""
    result: Found = {}
    mistakes = []
    for one in (one for one in ABILITIES if one.group == group):
        result[one.name] = {}
        for case in cases:
            try:
                mine = outcome(one, case)
            except Exception as error:
                text = " ".join(str(error).split())[:300]
                mistakes.append(f"{one.name}, {case}: {type(error).__name__}: {text}")
                continue
            if mine != WITHOUT:
                result[one.name][str(case)] = [mine, twin_outcome(one, case)]
    return result, mistakes


def save(group: str, result: Found) -> None:
    OUTCOMES.mkdir(exist_ok=True)
    lines = []
    for name, cases in result.items():
        rows = [f"   {json.dumps(case)}: {json.dumps(pair)}" for case, pair in cases.items()]
        lines.append(f"  {json.dumps(name)}: {{\n" + ",\n".join(rows) + "\n  }")
    version = torch.__version__.split("+")[0]
    body = ",\n".join(lines)
    text = f'{{\n "torch": "{version}",\n "found": {{\n{body}\n }}\n}}\n'
    (OUTCOMES / f"{group}.json").write_text(text)
