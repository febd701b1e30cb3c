"""A guest: another norm in a claim that compares norms, in the place of one of the claim's own.

It decides nothing. The claim's verdict is made of its own arms, as before; the guest's trials lie
beside them, under the same protocol, seeds and tuning, and are compared with the norm whose place
they take.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from normlab.claims.claim import Arm, Claim, Protocol
from normlab.claims.decided import devices
from normlab.claims.design import Design
from normlab.claims.evidence import ByArm, Evidence, Missing, Values
from normlab.claims.metrics import metric as metric_of
from normlab.claims.stats import t_interval
from normlab.config.compose import compose
from normlab.data.options import DataConfig, DocumentDataConfig, DocumentTask, TextDataConfig
from normlab.errors import NormLabError
from normlab.models import build_model
from normlab.norms import spec_of
from normlab.norms.registry import declared_kinds
from normlab.records.store import Store

# Whose place a guest takes: the first of these that the claim has.
HOSTS = ("layernorm", "groupnorm", "rmsnorm", "batchnorm", "none")
_OUTPUTS = 10  # classes or words of a network that is only built


@dataclass(frozen=True)
class GuestComparison:
    """An arm of the guest beside the arm whose place it takes; means are "" if there are none."""

    guest: str
    host: str
    guest_mean: str = ""
    host_mean: str = ""
    finding: str = ""  # the difference with its 95 % interval, or what is missing


def norm_overrides(norm: str) -> tuple[str, ...]:
    """Of a kind, or of a dotted path to a class.

    Raises:
        NormLabError: neither.
    """
    if norm in declared_kinds():
        return (f"norm={norm}",)
    if "." not in norm:
        kinds = ", ".join(sorted(declared_kinds()))
        raise NormLabError(
            f"unknown norm {norm!r}: choose one of {kinds}, or name a class: "
            "my_package.my_module.MyNorm."
        )
    return ("norm=custom", f"norm.target={norm}")


def check_guest(norm: str) -> None:
    """Refuse an unfit norm before its first trial, instead of in each.

    Raises:
        NormLabError: neither a kind nor a class, or a class that cannot be used.
    """
    # A kind was checked where it is declared; a class must be built to be known.
    if norm_overrides(norm)[0] == "norm=custom":
        spec_of("custom", target=norm)


def check_guest_fits(claim: Claim, hosts: Mapping[str, str], protocol: Protocol) -> None:
    """Refuse a guest before its first trial, if a network of `claim` has no place for it.

    Raises:
        NormLabError: its networks give norms a layout or a width that this one cannot take.
    """
    networks = set()
    for arm in claim.arms:
        if arm.name not in hosts:
            continue
        cfg = compose((*protocol.overrides, *arm.overrides))
        # What decides layouts and widths: arms differ in much else.
        network = f"{cfg.norm} {cfg.model}"
        if network not in networks:
            networks.add(network)
            modality, shape = _kind_of_data(cfg.data)
            build_model(cfg, modality, shape, _OUTPUTS)


def _kind_of_data(data: DataConfig) -> tuple[str, tuple[int, ...]]:
    """The modality, and the shape of an input: sizes that no norm sees are made up."""
    if isinstance(data, DocumentDataConfig):
        modality = "masked" if data.task is DocumentTask.masked else "documents"
        return modality, (data.context, _OUTPUTS)
    if isinstance(data, TextDataConfig):
        return "text", (data.context,)
    return "image", (3, 8, 8)


def compares_norms(claim: Claim) -> bool:
    """Whether a guest can enter.

    A claim with a `trial` of its own says there which norms it takes.
    """
    return bool(_host_arms(claim)[0])


def _host_arms(claim: Claim) -> tuple[list[Arm], str]:
    """The arms whose place a guest takes, and their norm. Options of a norm are nobody else's."""
    for host in HOSTS:
        own = [arm for arm in claim.arms if f"norm={host}" in arm.overrides]
        arms = [arm for arm in own if not _has_norm_options(arm)]
        if arms:
            return arms, host
    return [], ""


def _has_norm_options(arm: Arm) -> bool:
    return any(override.startswith(("norm.", "+norm.")) for override in arm.overrides)


def with_guest(claim: Claim, norm: str) -> tuple[Claim, dict[str, str]]:
    """`claim` with arms of `norm` added, and by arm of the guest the arm whose place it takes.

    Raises:
        NormLabError: the claim compares no norms.
    """
    arms, host = _host_arms(claim)
    if not arms:
        raise NormLabError(
            f"{claim.slug} compares no norms by training with them: nothing can take their place."
        )
    present = {arm.name for arm in claim.arms}
    added: list[Arm] = []
    hosts = {}
    for arm in arms:
        guest = _guest_arm(arm, host, norm)
        hosts[guest.name] = arm.name
        if guest.name not in present:  # the claim may compare this very norm
            added.append(guest)
    return replace(claim, arms=(*claim.arms, *added)), hosts


def _guest_arm(arm: Arm, host: str, norm: str) -> Arm:
    """`arm` with `norm` instead of `host`."""
    # In its very place: what stands after it in the arm still has the last word.
    at = arm.overrides.index(f"norm={host}")
    name = arm.name.replace(host, norm) if host in arm.name else f"{norm} in {arm.name}"
    overrides = (*arm.overrides[:at], *norm_overrides(norm), *arm.overrides[at + 1 :])
    return replace(arm, name=name, overrides=overrides)


def compare(
    claim: Claim, hosts: Mapping[str, str], protocol: Protocol, store: Store
) -> list[GuestComparison]:
    """Each arm of the guest beside its host, by the claim's test metric.

    Both by trials on the device that has the most of the guest's.
    """
    # Tuned by the validation split, compared by the same metric of the test split.
    metric = claim.tuning_metric.replace("val_", "test_")
    recorded = Design(claim, protocol).progress(store.tried()).recorded(store.done())
    rows = []
    for guest, host in hosts.items():
        trials: ByArm = {arm: recorded.get(arm, {}) for arm in (guest, host)}
        evidence = Evidence(_on_one_device(trials, guest))
        rows.append(_comparison(evidence, guest, host, metric))
    return rows


def _on_one_device(trials: ByArm, guest: str) -> ByArm:
    """Those on the device that has the most trials of `guest`; all where it has none."""
    # None at all where the guest has no trial yet.
    for device in devices({guest: trials[guest]})[:1]:
        kept = {}
        for arm, by_seed in trials.items():
            kept[arm] = {seed: trial for seed, trial in by_seed.items() if trial.device == device}
        return kept
    return trials


def _comparison(evidence: Evidence, guest: str, host: str, name: str) -> GuestComparison:
    metric = metric_of(name)
    scale = metric.scale
    try:
        means = [f"{scale * evidence.values(arm, name).mean():.4g}" for arm in (guest, host)]
        own, others = (scale * evidence.values(arm, name) for arm in (guest, host))
    except Missing as missing:
        return GuestComparison(guest, host, finding=str(missing))
    finding = _in_words((own, -others), metric.difference)
    return GuestComparison(guest, host, means[0], means[1], finding)


def _in_words(difference: tuple[Values, Values], unit: str) -> str:
    """A difference of two samples (n,) with its 95 % interval: undecided, no rule was written."""
    mean, low, high = (float(end) for end in t_interval(difference))
    n = len(difference[0])
    interval = f" [{low:.3g}, {high:.3g}]" if n > 1 else ""
    return f"{mean:+.3g}{interval} {unit}, n = {n}"
