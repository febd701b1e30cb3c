"""What is recorded of several norms, planned once: the trials by family of cells and arm.

A table of k norms asks k * k comparisons of the same trials. Planning each of them as a claim of
its own, as the page of one norm does, would take minutes.
"""

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Self

from normlab.claims.claim import Claim, Protocol
from normlab.claims.decided import verdict_of
from normlab.claims.design import Design
from normlab.claims.profiles import VARIANTS
from normlab.claims.staleness import stale_reasons
from normlab.records.record import Record
from normlab.records.store import Store
from normlab.records.verdict import Verdict
from normlab.score.battery import (
    PROTOCOLS,
    cost_arm,
    image_arms,
    layer_arm,
    no_images,
    no_text,
    text_arms,
    trained_claim,
)
from normlab.score.decide import Decider
from normlab.score.subject import Subject
from normlab.score.trials import cost, layer

LAYER, IMAGES, TEXT, COST = "layer", "images", "text", "cost"
FAMILIES = (LAYER, IMAGES, TEXT, COST)
BySeed = Mapping[int, Record]


class Recorded:
    """The evaluation trials of `norms` under a profile, by family and arm.

    Of each family those of one device: that with the most trials. protocols: by family, the name of
    the protocol that made them: the strongest of the profile that has any trial here. So the same
    records give the same table on every machine, whatever data it has.
    """

    def __init__(self, norms: Sequence[Subject], profile: str, store: Store) -> None:
        self.norms = tuple(norms)
        self.profile = profile
        self.store = store
        self.protocols: dict[str, str] = {}
        self.devices: dict[str, str] = {}
        self._found: dict[str, dict[str, dict[int, Record]]] = {}
        for family in FAMILIES:
            for name in VARIANTS[profile]:
                found = self._read(family, name)
                if any(found.values()):
                    break
            self._found[family], self.protocols[family] = found, name
            self.devices[family] = next(iter(self.all_devices(family)), "")

    def _read(self, family: str, protocol: str) -> dict[str, dict[int, Record]]:
        """By arm and seed. Nothing is planned for norms whose file has no record."""
        done, tried = self.store.done(), self.store.tried()
        slugs = {record.claim for record in done.values()}
        found: dict[str, dict[int, Record]] = {}
        for claim in family_claims(family, self.norms):
            if claim.slug in slugs:
                progress = Design(claim, PROTOCOLS[family][protocol]).progress(tried)
                found |= progress.recorded(done)
        return found

    def all_devices(self, family: str) -> list[str]:
        """Those that any trial of a family ran on: with the most trials first, then by name."""
        by_arm = self._found[family].values()
        count = Counter(record.device for by_seed in by_arm for record in by_seed.values())
        return sorted(count, key=lambda device: (-count[device], device))

    def timed_on(self, device: str) -> Self:
        """The same with the timings of another device."""
        other = copy.copy(self)
        other.devices = {**self.devices, COST: device}
        return other

    def among(self, norms: Sequence[Subject]) -> Self:
        """The same trials, asked of some of the norms only."""
        other = copy.copy(self)
        other.norms = tuple(norms)
        return other

    def trials(self, family: str, arm: str) -> BySeed:
        """By seed; none where the arm has not been run."""
        by_seed = self._found[family].get(arm, {})
        device = self.devices[family]
        return {seed: record for seed, record in by_seed.items() if record.device == device}

    def wanted(self, family: str) -> int:
        """Seeds (or draws) without which nothing is decided."""
        return self._protocol(family).looks.sizes[0]

    def _protocol(self, family: str) -> Protocol:
        return PROTOCOLS[family][self.protocols[family]]

    def verdict(self, claim: Claim) -> Verdict | None:
        """What these trials say of a claim about arms of one family; None without any."""
        family = family_of(claim)
        by_arm = {arm.name: self.trials(family, arm.name) for arm in claim.arms}
        if not any(by_arm.values()):
            return None
        return verdict_of(claim, self._protocol(family).looks, by_arm)

    def stale(self, norm: Subject) -> tuple[str, ...]:
        """What has changed since the trials of a norm were made; timings are left out."""
        records: list[Record] = []
        for family in (LAYER, IMAGES, TEXT):
            for claim in family_claims(family, [norm]):
                for arm in claim.arms:
                    records += self.trials(family, arm.name).values()
        return tuple(stale_reasons(records, self.store.folder))

    def data(self, family: str) -> tuple[str, ...]:
        """The data sets of a family's trials, by name."""
        by_arm = self._found[family].values()
        names = {one.data.get("name", "") for by_seed in by_arm for one in by_seed.values()}
        return tuple(sorted(names - {""}))


class SharedDecider(Decider):
    """Decides rows from trials that are planned once."""

    def __init__(self, recorded: Recorded) -> None:
        super().__init__(recorded.profile, recorded.store)
        self.recorded = recorded

    def verdict(self, claim: Claim) -> Verdict | None:
        return self.recorded.verdict(claim)


def family_of(claim: Claim) -> str:
    """Which cells a claim of the battery asks about."""
    # `layer`, `cost`, or the norm's own slug and then `-images` or `-text`.
    return claim.slug.rpartition("-")[2]


def family_claims(family: str, norms: Sequence[Subject]) -> list[Claim]:
    """The claims whose trials are a family's: of images and text one for each norm that can."""
    if family == LAYER:
        arms = tuple(layer_arm(norm) for norm in norms)
        return [replace(layer.CLAIM, arms=arms, protocols=PROTOCOLS[family])]
    if family == COST:
        return [cost_claim(norms, both_ways=True)]
    barred, arms_of = (no_images, image_arms) if family == IMAGES else (no_text, text_arms)
    return [trained_claim(one, family, arms_of(one)) for one in norms if not barred(one)]


def share_a_layout(one: Subject, other: Subject) -> bool:
    """Whether both take one input, on which they can be timed by turns."""
    return bool(set(one.spec.layouts) & set(other.spec.layouts))


def cost_claim(norms: Sequence[Subject], *, both_ways: bool = False) -> Claim:
    """Every norm beside a copy, and beside every one after it that shares a layout with it.

    both_ways: beside every one before it, too: a score of one norm may have timed that.
    """
    arms = [cost_arm(norm, None) for norm in norms]
    for index, norm in enumerate(norms):
        for place, other in enumerate(norms):
            if place != index and (both_ways or place > index) and share_a_layout(norm, other):
                arms.append(cost_arm(norm, other))
    return replace(cost.CLAIM, arms=tuple(arms), protocols=PROTOCOLS[COST])
