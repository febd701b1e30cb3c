"""Protocols of trainings for claims whose own `trial` chooses its learning rates by itself."""

from collections.abc import Mapping
from dataclasses import replace

from normlab.claims.claim import Protocol


def with_own_rates(
    protocols: Mapping[str, Protocol], trainings: float = 1.0, seconds: float = 0.0
) -> dict[str, Protocol]:
    """`protocols` with overrides, rates and the shorter budget as options of the claim's `trial`.

    That gives them to `normlab.measure.rates.train_tuned`: every seed of every arm chooses its rate
    by its own validation score, as the engine does for plain trainings. There is no gpu profile,
    since a claim's own trial runs on the CPU.

    trainings: how many such trainings one trial has; seconds: what else it takes in full.
    """
    return {
        name: _with_own_rates(protocol, trainings, seconds if name == "full" else 0.0)
        for name, protocol in protocols.items()
        if name != "gpu"
    }


def _with_own_rates(protocol: Protocol, trainings: float, seconds: float) -> Protocol:
    tried = len(protocol.learning_rates)
    # Without a shorter budget one of the tried networks is the trained one.
    each = tried * protocol.seconds_per_trial
    if protocol.choice:
        each = protocol.seconds_per_trial + tried * protocol.seconds_per_choice
    total = trainings * each + seconds
    return replace(
        protocol,
        options={
            "overrides": protocol.overrides,
            "rates": protocol.learning_rates,
            "choice": protocol.choice,
            "extend": protocol.extend,
        },
        learning_rates=(),
        choice=(),
        timeout_s=600 + 10 * total,
        seconds_per_trial=round(total, 1),
    )
