"""One draw of what is measured on a layer itself: see normlab.score.measures."""

from normlab.claims.answers import Answers
from normlab.claims.claim import Claim, Options, Protocol
from normlab.claims.looks import Looks

DRAWS = 20


def trial(options: Options, seed: int) -> dict[str, float | None]:
    """The errors of one draw, by name."""
    from normlab.score.measures import layer_metrics

    return layer_metrics(options["norm"], seed)


CLAIM = Claim(
    slug="layer",
    statement="What a layer does with other samples, later positions, 16 bits and evaluation.",
    documents=(),
    source="",
    prediction="",
    clauses=(),
    answers=Answers("", ""),
    protocols={
        "quick": Protocol(looks=Looks((DRAWS,)), seconds_per_trial=0.05),
        "smoke": Protocol(looks=Looks((2,))),
    },
    trial=trial,
    first_seed=0,
)
