"""What README.md shows of the records: a picture and eight answers. Built, never typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from normlab.errors import NormLabError, choices
from normlab.report.cards import Card
from normlab.report.headline import Headline
from normlab.report.markdown import EMPTY, counts, table, verdict_cell

PICTURE = "docs/img/normalization-batch"  # with -light.svg and -dark.svg
COLUMNS = ("claim", "verdict", "what was measured, with its 95 % interval", "n")


@dataclass(frozen=True)
class Answer:
    """A claim that README shows: for each part that it shows, what the part's number is."""

    slug: str
    parts: Mapping[str, str]


# What people ask first. The words say what a number is, and not how it came out: that may change.
ANSWERS = (
    Answer(
        "bn-batch-below-16",
        {"two": "accuracy with 64 samples per statistic, less that with 2"},
    ),
    Answer(
        "gn-ln-fix-small-batch",
        {"interaction": "what going from batches of 32 to 2 costs BatchNorm, less GroupNorm"},
    ),
    Answer(
        "gradaccum-fixes-bn",
        {"accuracy": "what BatchNorm loses from 32 to 2, and accumulation gives back"},
    ),
    Answer(
        "rmsnorm-7-64-faster",
        {"torch.nn": "RMSNorm's time over LayerNorm's, in `torch.nn`", "compiled": "compiled"},
    ),
    Answer("rmsnorm-equal-loss", {"loss": "RMSNorm's test loss, less LayerNorm's"}),
    Answer("postln-warmup-ok", {"12 layers": "perplexity of Post-LN over Pre-LN, 12 layers"}),
    Answer(
        "missing-eval-bug",
        {"accuracy": "accuracy with `eval()`, less that without, in batches of 16"},
    ),
    Answer(
        "bn-causal-leak",
        {"one sample": "least possible loss on random tokens, less BatchNorm's in training"},
    ),
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
        return EMPTY
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
    rows = [_row(answer, by_slug[answer.slug]) for answer in ANSWERS if answer.slug in by_slug]
    return f"{table(COLUMNS, rows)}\n\n{counts(cards)} All of them: [VERDICTS.md](VERDICTS.md)."


def _row(answer: Answer, card: Card) -> tuple[str, ...]:
    effects = {clause.name: clause.effect for clause in card.clauses}
    shown = []
    for name, what in answer.parts.items():
        if name not in effects:
            raise choices(f"part of {answer.slug}", name, effects)
        shown.append(f"{effects[name] or 'nothing yet'}: {what}")
    claim = f"[{card.claim.statement}](experiments/{card.file})"
    return claim, verdict_cell(card), "; ".join(shown), str(card.n)
