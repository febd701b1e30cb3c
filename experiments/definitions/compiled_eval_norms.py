"""Compiled, norms at evaluation give what they give uncompiled.

Said by: practitioners, who find it otherwise: pytorch issues 181696 (open since April 2026) and
183120.
Primary source: torch.compile, which keeps what a model computes. In the issues constant inputs go
through BatchNorm, ELU and GroupNorm, and a bisection finds the way in which the compiler writes
GroupNorm out.
Measured: a norm, an activation and a norm in eval mode, with random gains, shifts and running
statistics: 5 x 3 x 5 chains of torch's layers on maps, by torch.compile on a CPU and without. On
normal inputs, and on inputs of which each channel has one value, where a norm divides rounding by
rounding.
Cost: normlab run compiled-eval-norms --profile full    20 trials, 20 minutes of one core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import every
from normlab.claims.rules import Exact

NORMS = ("batchnorm", "groupnorm", "instancenorm", "layernorm", "rmsnorm")
TOLERANCE = 1e-5


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Largest differences by the second norm, on inputs that vary and on constant ones."""
    from normlab.measure.compiled import differences

    return differences(options["first"], seed)


def part(name: str, statement: str, inputs: str, first: tuple[str, ...] = NORMS) -> Part:
    quantity = every(
        first,
        [f"{inputs}_{second}" for second in NORMS],
        words=f"largest difference of an output of size 1, compiled - not, on {inputs} inputs, by "
        "first and second norm",
        unit="largest difference",
    )
    return Part(name, statement, quantity, Exact(TOLERANCE))


CLAIM = Claim(
    slug="compiled-eval-norms",
    statement="Compiled, norms at evaluation give what they give uncompiled.",
    documents=("Practitioners' threads",),
    source="pytorch issue 181696: eval-mode BatchNorm and GroupNorm 'produces wrong output' under "
    "Inductor, by 1 or more after a logarithm of values near 0.",
    prediction="supported on inputs that vary; on constant ones differences above 1e-5 behind "
    "norms with statistics of their own (a pilot: 8e-5)",
    arms=tuple(Arm(kind, options={"first": kind}) for kind in NORMS),
    protocols=direct_protocols(4, 60.0),
    trial=trial,
    clauses=(part("varied", "on inputs that vary, to 1e-5 in each of the chains", "varied"),),
    scope=(part("constant", "on inputs of constant channels, too", "constant"),),
    answers=Answers(
        supported="On inputs that vary compiled norms give what they give uncompiled, to "
        "{varied.effect:.0e}; on channels of one value, where a norm divides rounding by "
        "rounding, differences reach {constant.effect:.0e}.",
        refuted="Compiled norms give other values at evaluation: by up to {varied.effect:.1e} on "
        "inputs that vary, and {constant.effect:.1e} on channels of one value.",
    ),
    caveats=(
        "A CPU, float32 and one version of torch, named in the records; another compiler gives "
        "other roundings.",
        "On constant channels neither way is exact: what is right there is the shift alone, and "
        "a function that is steep at it makes any rounding large.",
    ),
    would_change="A chain of the grid that a version of the compiler gets wrong.",
    first_seed=0,
    metrics={
        f"{inputs}_{second}": f"largest |compiled - eager|, second norm {second}, {inputs} inputs"
        for inputs in ("varied", "constant")
        for second in NORMS
    },
)
