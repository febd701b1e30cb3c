"""For callers of `plan` while they move to `Design`."""

from collections.abc import Mapping

from normlab.claims.claim import Claim, Protocol
from normlab.claims.design import Design, Job, Progress
from normlab.records.record import Record

__all__ = ["Job", "plan"]


def plan(
    claim: Claim, protocol: Protocol, records: Mapping[str, Record], seeds: int | None = None
) -> Progress:
    """The next trials of `claim`."""
    return Design(claim, protocol, seeds).progress(records)
