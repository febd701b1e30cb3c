"""What claims are chosen by, in `normlab list` and on the first page: topic, document, norm,
verdict."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from normlab.claims.claim import Claim
from normlab.claims.registry import experiment_files
from normlab.errors import choices
from normlab.records.places import EXPERIMENTS
from normlab.records.verdict import NO_DATA, VERDICTS
from normlab.report.words import NORM_NAMES

# Kinds that only a claim's own words name, beside the names that figures use.
_WRITTEN = {
    "syncbatchnorm": ("SyncBatchNorm", "SyncBN"),
    "dyt": ("DyT", "Dynamic Tanh"),
    "pixelnorm": ("PixelNorm",),
    "batchnorm": ("batch norm", "batch normalization", "BatchNorm1d", "BatchNorm2d"),
    "layernorm": ("layer norm", "layer normalization", "LNs", "LayerNorms"),
    "groupnorm": ("group normalization",),
    "instancenorm": ("instance normalization",),
}


@dataclass(frozen=True)
class Facets:
    """A claim as a reader looks for it. norms: kinds that it is about, or compares with."""

    slug: str
    statement: str
    topic: str
    verdict: str
    documents: tuple[str, ...]
    norms: tuple[str, ...]
    stands_for: tuple[str, ...]


def facets(
    claims: Sequence[Claim], verdicts: dict[str, str], experiments: Path = EXPERIMENTS
) -> list[Facets]:
    """Of each claim, in their order. verdicts: words by slug; a claim without one has no data."""
    files = experiment_files(experiments)
    return [
        Facets(
            slug=claim.slug,
            statement=claim.statement,
            topic=files[claim.slug].parent.name if claim.slug in files else "",
            verdict=verdicts.get(claim.slug, NO_DATA),
            documents=claim.documents,
            norms=norms_of(claim),
            # Of clauses: what the scope stands for moves no verdict.
            stands_for=tuple(part.stands_for for part in claim.clauses if part.stands_for),
        )
        for claim in claims
    ]


def norms_of(claim: Claim) -> tuple[str, ...]:
    """The kinds that its sentences or its arms name, sorted."""
    # A slug begins with what it is about, and elsewhere may have `in` as a word.
    words = [claim.slug.partition("-")[0].upper(), claim.statement]
    words += [part.statement for part in claim.parts]
    words += [part.quantity.words for part in claim.parts]
    for arm in claim.arms:
        words += [arm.name, *arm.overrides, str(arm.options)]
    text = "\n".join(words)
    return tuple(kind for kind, pattern in _PATTERNS.items() if pattern.search(text))


def _pattern(kind: str) -> re.Pattern[str]:
    """Its names as whole words: in any case, but for abbreviations, of which IN is one."""
    name = NORM_NAMES.get(kind)
    long = [kind, *(_WRITTEN.get(kind, ())), *([name.name] if name else [])]
    any_case = "|".join(map(re.escape, long))
    short = f"|\\b{re.escape(name.short)}\\b" if name and name.short.isalpha() else ""
    return re.compile(f"(?i:\\b(?:{any_case})s?\\b){short}")


_KINDS = sorted({*NORM_NAMES, *_WRITTEN})
_PATTERNS = {kind: _pattern(kind) for kind in _KINDS}


def chosen(
    rows: Sequence[Facets],
    topic: str | None = None,
    verdict: str | None = None,
    norm: str | None = None,
    document: str | None = None,
) -> list[Facets]:
    """The rows that are all of this; `document` is a part of a title, in any case.

    Raises:
        NormLabError: no claim of this project has such a topic, norm or document; no such verdict.
    """
    if topic is not None:
        topic = _known("topic", topic, {row.topic for row in rows})
    if verdict is not None:
        verdict = _known("verdict", verdict, VERDICTS)
    if norm is not None:
        norm = _known("norm", norm, {kind for row in rows for kind in row.norms})
    titles = {title for row in rows for title in row.documents}
    if document is not None:
        meant = {title for title in titles if document.lower() in title.lower()}
        if not meant:
            raise choices("document", document, sorted(titles))
        titles = meant
    return [
        row
        for row in rows
        if topic in (None, row.topic)
        and verdict in (None, row.verdict)
        and (norm is None or norm in row.norms)
        and not titles.isdisjoint(row.documents)
    ]


def _known(what: str, given: str, valid: Iterable[str]) -> str:
    """The valid word that is meant: `no-data` is `no data`, `batch-size` is `batch_size`."""
    valid = valid if isinstance(valid, tuple) else sorted(valid)
    for word in valid:
        if _plain(word) == _plain(given):
            return word
    raise choices(what, given, valid)


def _plain(word: str) -> str:
    return re.sub("[-_ ]+", " ", word).strip().lower()
