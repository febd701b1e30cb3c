"""Protocols of trainings, for claims whose own `trial` trains and measures."""

from collections.abc import Mapping
from dataclasses import replace

from normlab.claims.claim import Protocol


def as_options(protocols: Mapping[str, Protocol]) -> dict[str, Protocol]:
    """`protocols` with their overrides as the option `overrides` of the claim's own `trial`.

    They stay overrides, too: those say which data a protocol needs. Nothing is tuned, and there is
    no gpu profile, since a claim's own trial runs on the CPU.
    """
    return {
        name: replace(protocol, options={"overrides": protocol.overrides}, learning_rates=())
        for name, protocol in protocols.items()
        if name != "gpu"
    }
