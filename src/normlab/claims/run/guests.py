"""Another norm in a claim that compares norms: it takes the place of one of the claim's own, and decides nothing.

The claim's verdict is made of its own arms, as before; the guest's trials lie beside them, under the same protocol,
seeds and tuning, and are compared with the norm whose place they take.
"""

from collections.abc import Sequence
from dataclasses import replace

from normlab.claims.claim import Arm, Claim, Protocol
from normlab.claims.evidence import Evidence, Missing
from normlab.claims.plan import plan
from normlab.claims.rules import in_words
from normlab.claims.verdicts import devices
from normlab.errors import NormLabError
from normlab.norms import spec_of
from normlab.norms.registry import declared_kinds
from normlab.records.store import Store

HOSTS = (
    "layernorm",
    "groupnorm",
    "rmsnorm",
    "batchnorm",
    "none",
)  # whose place a guest takes, the first that is there


def norm_overrides(norm: str) -> tuple[str, ...]:
    """Of a kind, or of a dotted path to a class.

    Raises:
        NormLabError: neither.
    """
    if norm in declared_kinds():
        return (f"norm={norm}",)
    if "." not in norm:
        raise NormLabError(
            f"unknown norm {norm!r}: choose one of {', '.join(sorted(declared_kinds()))}, or name a class: "
            "my_package.my_module.MyNorm."
        )
    return ("norm=custom", f"norm.target={norm}")


def check_guest(norm: str) -> None:
    """Refuse an unfit norm before its first trial, instead of in each.

    Raises:
        NormLabError: neither a kind nor a class, or a class that cannot be used.
    """
    if norm_overrides(norm)[0] == "norm=custom":
        spec_of("custom", target=norm)


def compares_norms(claim: Claim) -> bool:
    """Whether a guest can enter: a claim with a `trial` of its own says there which norms it takes."""
    return bool(_hosts(claim)[0])


def _hosts(claim: Claim) -> tuple[list[Arm], str]:
    """The arms whose place a guest takes, and their norm."""
    for host in HOSTS:
        arms = [
            arm
            for arm in claim.arms
            if f"norm={host}" in arm.overrides and not _has_norm_options(arm)
        ]
        if arms:
            return arms, host
    return [], ""


def with_guest(claim: Claim, norm: str) -> tuple[Claim, dict[str, str]]:
    """`claim` with arms of `norm` added, and which arm each of them took the place of.

    Raises:
        NormLabError: the claim compares no norms.
    """
    own = norm_overrides(norm)
    hosts, host = _hosts(claim)
    if not hosts:
        raise NormLabError(
            f"{claim.slug} compares no norms by training with them: nothing can take their place."
        )
    guests = {}
    for arm in hosts:
        at = arm.overrides.index(f"norm={host}")
        name = arm.name.replace(host, norm) if host in arm.name else f"{norm} in {arm.name}"
        guests[name] = (
            arm.name,
            replace(
                arm, name=name, overrides=(*arm.overrides[:at], *own, *arm.overrides[at + 1 :])
            ),
        )
    present = {arm.name for arm in claim.arms}
    added: tuple[Arm, ...] = tuple(arm for name, (_, arm) in guests.items() if name not in present)
    return replace(claim, arms=claim.arms + added), {
        name: place for name, (place, _) in guests.items()
    }


def _has_norm_options(arm: Arm) -> bool:
    return any(override.startswith(("norm.", "+norm.")) for override in arm.overrides)


def compare(
    claim: Claim, places: dict[str, str], protocol: Protocol, store: Store
) -> list[Sequence[str]]:
    """Rows (guest, its mean, arm, its mean, paired difference with its 95 % interval) by the claim's test metric.

    Both by trials on the device that has the most of the guest's.
    """
    metric = claim.tuning_metric.replace("val_", "test_")
    scale, unit = (100, "points") if metric.endswith("accuracy") else (1, "nats")
    known = store.done()
    keys = plan(claim, protocol, known).evaluation
    rows: list[Sequence[str]] = []
    for guest, host in places.items():
        found = {
            arm: {s: known[k] for s, k in keys.get(arm, {}).items() if k in known}
            for arm in (guest, host)
        }
        for device in devices({guest: found[guest]})[:1]:
            found = {
                arm: {s: r for s, r in by_seed.items() if r.device == device}
                for arm, by_seed in found.items()
            }
        evidence = Evidence(found, protocol.seeds)
        try:
            means = [f"{scale * evidence.values(arm, metric).mean():.4g}" for arm in (guest, host)]
            finding = in_words(evidence.difference(guest, host, metric, scale), unit)
        except Missing as missing:
            rows.append((guest, "", host, "", str(missing)))
            continue
        rows.append((guest, means[0], host, means[1], finding))
    return rows
