"""One call of `normlab score`: run what is missing of the battery, and decide."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from normlab.claims.claim import Claim
from normlab.claims.run.engines import build_engine
from normlab.claims.run.guests import check_guest_fits
from normlab.claims.run.request import results_folder
from normlab.claims.run.runner import Tally, run_claims
from normlab.score.battery import TRIALS, battery
from normlab.score.decide import score
from normlab.score.request import ScoreProfile, ScoreRequest
from normlab.score.store import ScoreStore
from normlab.score.subject import Subject, subject_of
from normlab.score.table import Score

FOLDER = "score"  # below the results


@dataclass(frozen=True)
class ScoreReport:
    """What a run gave. folder: the results folder. void: timings that a busy machine spoiled."""

    score: Score
    tally: Tally
    seconds: float
    folder: Path
    records: Path
    void: int


def run_score(request: ScoreRequest) -> ScoreReport:
    """Run what is missing for the norm and those it stands beside, and decide every row.

    Raises:
        NormLabError: a norm or option that is not known, a class that does not fit the networks, a
            smoke run into the results folder.
    """
    subject = subject_of(request.norm, request.options)
    references = _references(request.against, subject)
    folder = results_folder(request.results, smoke=request.profile is ScoreProfile.smoke)
    store = ScoreStore(folder / FOLDER, subject)
    began = time.perf_counter()
    # No trial is started after it; one that runs is not broken off.
    deadline = None if request.minutes is None else began + 60 * request.minutes
    claims = battery(subject, references, timed=request.timed)
    if subject.kind == "custom":
        check_fits(claims, request.profile)
    tally = run_claims(
        claims,
        request.profile,
        store,
        build_engine("local", request.workers, TRIALS),
        deadline=deadline,
        renew=request.renew,
    )
    seconds = time.perf_counter() - began
    # With timed cells the last claim of a battery has them all.
    void = store.void(arm.name for arm in claims[-1].arms) if request.timed else 0
    decided = score(subject, references, request.profile, store)
    return ScoreReport(decided, tally, seconds, folder, store.folder, void)


def check_fits(claims: Sequence[Claim], profile: ScoreProfile) -> None:
    """Refuse a class before its first trial, if a network has no place for it."""
    for claim in claims:
        if claim.trial is None:
            arm = claim.arms[0].name  # all of a claim's networks have its widths and layouts
            check_guest_fits(claim, {arm: arm}, claim.protocols[profile])


def _references(names: Sequence[str], subject: Subject) -> list[Subject]:
    """Those that are not the subject itself, each once."""
    references: list[Subject] = []
    for name in names:
        reference = subject_of(name)
        # `normlab score layernorm` has layernorm among its references by default.
        if reference != subject and reference not in references:
            references.append(reference)
    return references
