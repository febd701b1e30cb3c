"""The pictures at the head of the site: what a reader should have seen before any table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from markupsafe import Markup

from normlab.claims.claim import Claim
from normlab.claims.figure import Figure, Sweep
from normlab.claims.trials import collect
from normlab.records.store import Store
from normlab.records.verdict import Verdict
from normlab.report.cards import Card
from normlab.report.figures import draw
from normlab.report.headline import HEADLINE


@dataclass(frozen=True)
class Topic:
    """What a picture is about, and the claim whose trials it draws.

    figure: in the place of the claim's own. only: the arms at these coordinates are drawn; an arm
    that lacks one of them is drawn, too.
    """

    title: str
    slug: str
    figure: Figure | None = None
    only: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """A topic as the page shows it. figure: "" as long as nothing is recorded to be drawn."""

    title: str
    card: Card
    figure: Markup


# One initial scale, as eight lines would hide what the picture is for.
_DEPTH = Sweep(x="depth", x_label="layers", by=("placement",), metric="test_loss")
TOPICS = (
    Topic("Accuracy against the normalization batch", HEADLINE),
    Topic("Pre-LN and Post-LN by depth", "postln-warmup-ok", _DEPTH, {"init": "gpt2"}),
    Topic("What RMSNorm costs against LayerNorm", "rmsnorm-7-64-faster"),
    Topic("What BatchNorm does to the loss and its gradient", "bn-smooths-loss"),
)


def pictures(
    claims: Sequence[Claim], verdicts: Sequence[Verdict], cards: Sequence[Card], store: Store
) -> list[Picture]:
    """Of each of TOPICS whose claim is among `claims`; `verdicts`, `cards`: in the same order."""
    places = {claim.slug: place for place, claim in enumerate(claims)}
    found = []
    for topic in TOPICS:
        if topic.slug in places:
            place = places[topic.slug]
            figure = cards[place].figure
            if topic.figure is not None:
                claim = _drawn(claims[place], topic)
                figure = draw(claim, collect(claim, verdicts[place], store))
            found.append(Picture(topic.title, cards[place], figure))
    return found


def _drawn(claim: Claim, topic: Topic) -> Claim:
    """The claim with the topic's figure, and those of its arms that the picture shows."""
    arms = tuple(
        arm
        for arm in claim.arms
        if all(arm.at.get(name, value) == value for name, value in topic.only.items())
    )
    return replace(claim, arms=arms, figure=topic.figure)
