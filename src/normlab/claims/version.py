"""The version of a claim: a hash of what decides it, clauses, rules, arms and one protocol.

A change of any makes another version, which needs fresh seeds (`Claim.first_seed`): whoever has
seen what a rule gives may not mend it and decide by the same trials. Words for readers, figures,
costs and scope change nothing. A change of this file would make every version another: leave it.
"""

import hashlib
import json
from pathlib import Path

from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.registry import experiment_file
from normlab.records.code_hash import clauses_code
from normlab.records.moves import Modules
from normlab.records.places import EXPERIMENTS, PACKAGE

_MODULES = Modules(PACKAGE)


def version(claim: Claim, protocol: str, experiments: Path = EXPERIMENTS) -> str:
    """8 hexadecimal digits for `claim` under the protocol of that name."""
    described = {
        "clauses": [_clause(part) for part in claim.clauses],
        "code": _code(claim.slug, experiments),
        "arms": [_arm(arm) for arm in claim.arms],
        "protocol": _protocol(claim.protocols[protocol]),
        "trial": claim.trial_version,
        "tuning": claim.tuning_metric,
        "first seed": claim.first_seed,
    }
    text = json.dumps(described, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _clause(part: Part) -> list[object]:
    # A rule is a dataclass of numbers: its repr holds all that decides.
    return [part.name, part.quantity.words, part.quantity.unit, part.quantity.arms, repr(part.rule)]


def _arm(arm: Arm) -> list[object]:
    return [arm.name, arm.overrides, sorted(arm.options.items()), arm.tune, arm.evaluations]


def _protocol(protocol: Protocol) -> list[object]:
    return [
        protocol.overrides,
        sorted(protocol.options.items()),
        protocol.looks.sizes,
        protocol.looks.level,
        protocol.learning_rates,
        protocol.extend,
        *([protocol.choice] if protocol.choice else []),
    ]


def _code(slug: str, experiments: Path) -> str:
    """Of the clauses as the claim's file writes them; empty for a claim without a file."""
    path = experiment_file(slug, experiments)
    code = None if path is None else clauses_code(path.read_text(encoding="utf-8"), _MODULES)
    return "" if code is None else code.hash
