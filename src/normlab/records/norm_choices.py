"""What the battery of `normlab score --all` says to whoever chooses a norm, as norms.json keeps it.

Torch-free, since `normlab advise` reads it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from normlab.errors import NormLabError
from normlab.records.places import newest
from normlab.records.words import listed

FILE = "norms.json"
IMAGES, TEXT = "images", "text"
SMALL = "so small a network stands for larger ones and does not speak for them"


@dataclass(frozen=True)
class NormChoice:
    """For a modality, a batch and a device: the norms that are not worse than the best.

    batch: of samples that share statistics. device: on which the cost was timed, "" where none was.
    question: of the battery, and `margin` by which it calls a norm better. norms: that none of
    `compared` norms is shown to beat, the best value first. cheapest: of these, that none of them
    is shown to beat in time. values: mean, low and high of their 95 % interval, in `unit`. n: seeds
    a norm. trained: on what the evidence was trained, in words. without_data: norms of which too
    little is recorded.
    """

    modality: str
    batch: int
    device: str
    question: str
    margin: str
    unit: str
    norms: tuple[str, ...]
    cheapest: tuple[str, ...]
    values: Mapping[str, Sequence[float | None]]
    compared: int
    n: int
    trained: str
    profile: str
    without_data: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()  # of `norms`, those that other code than this was measured with

    @property
    def place(self) -> str:
        """`images, batch 2, x86_64, 1 thread`."""
        return ", ".join(filter(None, [self.modality, f"batch {self.batch}", self.device]))

    @property
    def sentence(self) -> str:
        """Which norms, and what that means."""
        are = "is" if len(self.norms) == 1 else "are"
        text = (
            f"{listed(self.norms)} {are} not worse than the best of {self.compared} in "
            f"{self.question}: no norm is shown to be better by {self.margin}"
        )
        if not self.cheapest:
            return f"{text}. Their cost is not recorded side by side."
        costs = "costs" if len(self.cheapest) == 1 else "cost"
        return (
            f"{text}. Of these {listed(self.cheapest)} {costs} least, forward and backward: "
            "none of them is shown to be faster by 10 %."
        )

    @property
    def evidence(self) -> str:
        """What the choice rests on."""
        words = [f"n = {self.n} seeds a norm", self.trained, SMALL]
        if self.without_data:
            words.append(f"no data of {listed(self.without_data)}")
        if self.stale:
            words.append(f"stale: {listed(self.stale)}")
        return "; ".join(words)


def to_json(choices: Sequence[NormChoice]) -> str:
    """What results/norms.json holds."""
    rows = [asdict(choice) for choice in choices]
    return json.dumps(rows, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def read_norm_choices(folder: Path) -> list[NormChoice]:
    """The rows that a results folder keeps; none where the battery was never tabled.

    Raises:
        NormLabError: the file is damaged.
    """
    path = newest(folder, FILE)
    if not path.is_file():
        return []
    try:
        return [_choice(row) for row in json.loads(path.read_text())]
    except (OSError, ValueError, KeyError, TypeError):
        raise NormLabError(
            f"{path} cannot be read: build it with `normlab report`, "
            "or name another folder with --results."
        ) from None


def _choice(row: Mapping[str, Any]) -> NormChoice:
    names = ("norms", "cheapest", "without_data", "stale")
    known = {item.name for item in fields(NormChoice)}
    kept = {name: value for name, value in row.items() if name in known}
    return NormChoice(**{**kept, **{name: tuple(row[name]) for name in names}})


def fitting(choices: Sequence[NormChoice], modality: str, batch: int) -> list[NormChoice]:
    """One choice a device: of the largest measured batch that is not above `batch`."""
    kept: dict[str, NormChoice] = {}
    for choice in sorted(choices, key=lambda one: one.batch):
        if choice.modality == modality and choice.batch <= batch:
            kept[choice.device] = choice
    return list(kept.values())
