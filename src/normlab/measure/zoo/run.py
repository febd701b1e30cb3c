"""`normlab zoo`: every network that has no row yet, one after another; a kill loses nothing."""

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from normlab.errors import NormLabError
from normlab.measure.zoo.families import LIBRARIES, Network, library_version, networks
from normlab.measure.zoo.processes import DEFAULT, Limits, examine_apart
from normlab.measure.zoo.rows import Row, code_hash, read_rows, sorted_lines
from normlab.records.files import write_atomically
from normlab.records.lines import ZOO, Lines
from normlab.records.places import RESULTS

_NAME = ZOO.removesuffix(".jsonl")


def chosen(library: str | None, only: Sequence[str]) -> list[Network]:
    """The networks of a library or of all, or those that are named.

    Raises:
        NormLabError: a library that is unknown or not installed, a name without one.
    """
    if only:
        named = [Network(name, name.partition(":")[2]) for name in only]
        for network in named:
            if network.library not in LIBRARIES:
                raise NormLabError(
                    f"{network.name}: write LIBRARY:NAME, of {', '.join(LIBRARIES)}."
                )
            networks(network.library)  # not installed is one sentence, and not one in each row
        return named
    libraries = [library] if library else LIBRARIES
    return [network for each in libraries for network in networks(each)]


def run_zoo(
    wanted: Sequence[Network],
    folder: Path = RESULTS,
    limits: Limits = DEFAULT,
    *,
    again: bool = False,
    examine: Callable[[Row, Limits], Row] = examine_apart,
) -> Iterator[Row]:
    """The rows of the networks that have none of today's code and library, as they are written.

    again: those that have one, too. Each row is on disk before the next network begins.
    """
    with Lines(folder, ZOO, "normlab zoo") as lines:
        there = read_rows(folder)
        waiting = [one for one in wanted if again or _missing(one, there)]
        # In any order but that of size: how long it still takes can then be told.
        random.Random(0).shuffle(waiting)
        for network in waiting:
            row = examine(_empty(network), limits)
            lines.write(_NAME, [row.line])
            yield row
        if waiting:
            write_atomically(folder / ZOO, sorted_lines(read_rows(folder).values()))


def _missing(network: Network, there: dict[str, Row]) -> bool:
    row = there.get(network.name)
    return row is None or row.key != _empty(network).key


def _empty(network: Network) -> Row:
    return Row(
        network.name,
        network.family,
        network.library,
        library_version(network.library),
        code_hash(),
        torch.__version__,
    )
