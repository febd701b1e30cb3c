"""Profiles: how much a claim runs, by machine, and which of its protocols that is."""

from collections.abc import Mapping

from normlab.claims.claim import Claim, Protocol
from normlab.claims.run.request import Profile
from normlab.data.availability import PUBLISHED, is_here
from normlab.errors import choices

PROFILES = tuple(Profile)
# Under a profile, protocols by falling strength: the published data first, embedded data where
# those are not there.
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "smoke": ("smoke",),
    "quick": ("quick", "quick-embedded"),
    "full": ("full", "full-embedded"),
    "gpu": ("gpu",),
}
# Of evidence; smoke is none.
STRENGTH = ("gpu", "full", "full-embedded", "quick", "quick-embedded")


def protocol_name(claim: Claim, profile: str) -> str | None:
    """Which of the claim's protocols runs under `profile` on this machine; None if it has none."""
    if profile not in VARIANTS:
        raise choices("profile", profile, PROFILES)
    names = [name for name in VARIANTS[profile] if name in claim.protocols]
    for name in names:
        # The last one runs in any case: there is nothing weaker to fall back on.
        if name == names[-1] or all(is_here(data) for data in published(claim.protocols[name])):
            return name
    return None


def published(protocol: Protocol) -> list[str]:
    """The published data sets that a protocol needs; embedded ones are always here."""
    chosen = [item for item in protocol.overrides if item.startswith("data=")]
    names = [item.removeprefix("data=") for item in chosen]
    return [name for name in names if name in PUBLISHED]


def protocol_of(claim: Claim, profile: str) -> Protocol | None:
    """The protocol that runs under `profile` on this machine; None if the claim has none."""
    name = protocol_name(claim, profile)
    return None if name is None else claim.protocols[name]
