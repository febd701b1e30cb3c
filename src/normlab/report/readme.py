"""What README.md shows of the records: a picture and eight answers. Built, never typed."""

from collections.abc import Mapping, Sequence

from normlab.errors import NormLabError
from normlab.report.cards import Card
from normlab.report.headline import HEADLINE, Headline
from normlab.report.markdown import answer, counts, table, verdict_cell

PICTURE = "docs/img/normalization-batch"  # with -light.svg and -dark.svg
COLUMNS = ("claim", "verdict", "answer", "n")
# What people ask first.
ANSWERS = (
    "bn-batch-below-16",
    "gn-ln-fix-small-batch",
    "gradaccum-fixes-bn",
    "rmsnorm-7-64-faster",
    "rmsnorm-equal-loss",
    "postln-warmup-ok",
    "missing-eval-bug",
    "bn-causal-leak",
)


def blocks(cards: Sequence[Card], headline: Headline | None) -> dict[str, str]:
    """What stands in README.md, by the name of its marks."""
    return {"picture": _picture(headline), "answers": _answers(cards)}


def put(text: str, built: Mapping[str, str]) -> str:
    """`text` with what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->` replaced.

    Raises:
        NormLabError: the marks of a block are not there, once each and in order.
    """
    for name, block in built.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        # A mark that is there twice would leave an old block in place.
        before, opened, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not opened or not closed or begin in after or end in after:
            raise NormLabError(f"README.md must hold {begin} and {end}, once each, in this order.")
        text = f"{before}{begin}\n{block}\n{end}{after}"
    return text


def _picture(headline: Headline | None) -> str:
    """Two files, since a code host shows each in its own theme; a browser chooses."""
    if headline is None:
        return (
            f"Here will be a picture, once `normlab run {HEADLINE}` and `normlab report` have run."
        )
    return "\n".join(
        [
            "<picture>",
            f'<source media="(prefers-color-scheme: dark)" srcset="{PICTURE}-dark.svg">',
            f'<img src="{PICTURE}-light.svg" alt="{headline.title}">',
            "</picture>",
            "",
            headline.caption,
        ]
    )


def _answers(cards: Sequence[Card]) -> str:
    by_slug = {card.claim.slug: card for card in cards}
    rows = [_row(by_slug[slug]) for slug in ANSWERS if slug in by_slug]
    return f"{table(COLUMNS, rows)}\n\n{counts(cards)} All of them: [VERDICTS.md](VERDICTS.md)."


def _row(card: Card) -> tuple[str, ...]:
    claim = f"[{card.claim.statement}](experiments/{card.file})"
    return claim, verdict_cell(card), answer(card), str(card.n)
