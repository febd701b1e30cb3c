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
from normlab.claims.store import Store
from normlab.errors import NormLabError
from normlab.norm_files import declared_kinds

HOSTS = ("layernorm", "groupnorm", "rmsnorm", "batchnorm", "none")  # whose place a guest takes, the first that is there


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


def with_guest(claim: Claim, norm: str) -> tuple[Claim, dict[str, str]]:
    """`claim` with arms of `norm` added, and which arm each of them took the place of.

    Raises:
        NormLabError: the claim compares no norms.
    """
    own = norm_overrides(norm)
    for host in HOSTS:
        hosts = [arm for arm in claim.arms if f"norm={host}" in arm.overrides and not _has_norm_options(arm)]
        if hosts:
            break
    else:
        raise NormLabError(f"{claim.slug} compares no norms by training with them: nothing can take their place.")
    guests = {}
    for arm in hosts:
        at = arm.overrides.index(f"norm={host}")
        name = arm.name.replace(host, norm) if host in arm.name else f"{norm} in {arm.name}"
        guests[name] = (
            arm.name,
            replace(arm, name=name, overrides=(*arm.overrides[:at], *own, *arm.overrides[at + 1 :])),
        )
    present = {arm.name for arm in claim.arms}
    added: tuple[Arm, ...] = tuple(arm for name, (_, arm) in guests.items() if name not in present)
    return replace(claim, arms=claim.arms + added), {name: place for name, (place, _) in guests.items()}


def _has_norm_options(arm: Arm) -> bool:
    return any(override.startswith(("norm.", "+norm.")) for override in arm.overrides)


def compare(claim: Claim, places: dict[str, str], protocol: Protocol, store: Store) -> list[Sequence[str]]:
    """Rows (guest, its mean, arm, its mean, paired difference with its 95 % interval) by the claim's test metric."""
    metric = claim.tuning_metric.replace("val_", "test_")
    scale, unit = (100, "points") if metric.endswith("accuracy") else (1, "nats")
    known = store.done()
    keys = plan(claim, protocol, known).evaluation
    rows: list[Sequence[str]] = []
    for guest, host in places.items():
        found = {arm: {s: known[k] for s, k in keys.get(arm, {}).items() if k in known} for arm in (guest, host)}
        evidence = Evidence(found, protocol.seeds)
        try:
            means = [f"{scale * evidence.values(arm, metric).mean():.4g}" for arm in (guest, host)]
            finding = in_words(evidence.difference(guest, host, metric, scale), unit)
        except Missing as missing:
            rows.append((guest, "", host, "", str(missing)))
            continue
        rows.append((guest, means[0], host, means[1], finding))
    return rows
