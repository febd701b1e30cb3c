"""A part over the looks of its protocol: decided at the first look that can, and so it stays."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from normlab.claims.claim import Claim, Part
from normlab.claims.evidence import ByArm, Evidence, Missing
from normlab.claims.looks import Looks
from normlab.claims.rules import Finding
from normlab.records.verdict import INCONCLUSIVE, NO_DATA, REFUTED, SUPPORTED

DECIDED = (SUPPORTED, REFUTED)


def evidence_of(part: Part, records: ByArm) -> Evidence:
    """The trials of the arms that `part` reads."""
    arms = part.quantity.arms or tuple(records)
    return Evidence({arm: records.get(arm, {}) for arm in arms})


def first_seeds(evidence: Evidence, size: int) -> Evidence:
    """The same of the first `size` seeds that all its arms have."""
    kept = set(evidence.seeds[:size])
    by_arm = {}
    for arm, by_seed in evidence.records.items():
        by_arm[arm] = {seed: record for seed, record in by_seed.items() if seed in kept}
    return Evidence(by_arm)


class Look(NamedTuple):
    """What a part has come to, and by how many seeds of every arm that it reads."""

    finding: Finding
    seeds: int


def decide(part: Part, records: ByArm, looks: Looks) -> Look:
    """The finding of the first look that decides `part`, else of the last that was reached.

    Before the first look nothing is decided: what is there is shown, and inconclusive.

    Raises:
        Missing: no seed has a trial in every arm that the part reads, or a metric is not there.
    """
    evidence = evidence_of(part, records)
    n = len(evidence.seeds)
    if not n:
        raise Missing("no seed has a trial in every arm")
    reached = looks.reached(n)
    if not reached:
        finding = part.decide(evidence, looks.level)
        text = f"{n} of {looks.sizes[0]} seeds in every arm: {finding.text}"
        undecided = NO_DATA if finding.verdict == NO_DATA else INCONCLUSIVE
        return Look(replace(finding, verdict=undecided, text=text), n)
    for size in reached:
        finding = part.decide(first_seeds(evidence, size), looks.level)
        if finding.verdict in DECIDED:
            break
    return Look(finding, size)


def wanted_seeds(claim: Claim, looks: Looks, records: ByArm) -> Mapping[str, int]:
    """By arm: how many seeds the next look needs, by which a clause that is open may be decided."""
    wanted = {arm.name: looks.sizes[0] for arm in claim.arms}
    for clause in claim.clauses:
        evidence = evidence_of(clause, records)
        following = [size for size in looks.sizes if size > len(evidence.seeds)]
        if not evidence.seeds or not looks.reached(len(evidence.seeds)):
            continue  # its first look is still to come
        if following and decide(clause, records, looks).finding.verdict not in DECIDED:
            for arm in evidence.records:
                wanted[arm] = max(wanted[arm], following[0])
    return wanted
