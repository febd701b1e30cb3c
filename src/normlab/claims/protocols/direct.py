"""Protocols of claims whose own `trial` neither trains nor times: identities, counts, audits."""

from collections.abc import Mapping
from typing import Any

from normlab.claims.claim import Protocol
from normlab.claims.looks import Looks


def direct_protocols(
    draws: int = 20,
    seconds: float = 0.1,
    *,
    options: Mapping[str, Any] | None = None,
    smoke: Mapping[str, Any] | None = None,
) -> dict[str, Protocol]:
    """smoke, quick and full; the latter two are the same `draws`, judged once, and so share them.

    An audit has one draw, and so has smoke, by options of its own where `smoke` gives them.
    """
    given = dict(options or {})
    once = Protocol(options=given, looks=Looks((draws,)), seconds_per_trial=seconds)
    few = Protocol(
        options=given if smoke is None else dict(smoke),
        looks=Looks((1,)),
        seconds_per_trial=seconds,
    )
    return {"smoke": few, "quick": once, "full": once}
