"""A claim asked again, in words: with fresh seeds, and on other machines."""

from normlab.records.verdict import HELD, LEFT_OPEN, NOT_HELD, Again, Verdict
from normlab.records.words import effect

_SENTENCES = {HELD: "It held", LEFT_OPEN: "It was left open", NOT_HELD: "It did not hold"}


def elsewhere_in_words(again: Again, verdict: str) -> str:
    """`on NVIDIA H200: supported, 0.93 (0.91 to 0.95) times, n = 10 (gpu profile, torch 2.13.0,
    2026-12-01). It held there.`

    verdict: the one here; where that is open, nothing is said of it.
    """
    about = [f"{again.profile} profile", again.torch and f"torch {again.torch}", *_when(again)]
    words = f"on {again.machine}: {_found(again)} ({', '.join(filter(None, about))})"
    return _with_outcome(words, again, verdict, " there")


def fresh_seeds_in_words(again: Again, verdict: str) -> str:
    """`with fresh seeds from 100,000 on: refuted, 0.2 (−1.0 to 1.4) points, n = 5 (quick profile on
    x86_64, 1 thread, 2026-12-01). It did not hold.`"""
    about = [f"{again.profile} profile on {again.machine}", *_when(again)]
    words = f"with fresh seeds from {again.first_seed:,} on: {_found(again)} ({', '.join(about)})"
    return _with_outcome(words, again, verdict, "")


def again_in_words(verdict: Verdict) -> list[tuple[str, str]]:
    """(what it says of the verdict, in words) of all that was asked again, fresh seeds first."""
    fresh = [(one, fresh_seeds_in_words) for one in verdict.replications]
    others = [(one, elsewhere_in_words) for one in verdict.elsewhere]
    word = verdict.verdict
    return [(one.says_of(word), in_words(one, word)) for one, in_words in (*fresh, *others)]


def again_marks(verdict: Verdict) -> list[str]:
    """What stands beside the verdict in a table: `did not hold with fresh seeds`, `held on NVIDIA
    H200`. Nothing where it was left open."""
    fresh = [one.says_of(verdict.verdict) for one in verdict.replications]
    marks = []
    # Of several the worst: a verdict that failed once is not shown as one that held.
    for word in (NOT_HELD, HELD):
        if word in fresh:
            times = f" ({fresh.count(word)} of {len(fresh)})" if len(fresh) > 1 else ""
            marks.append(f"{word} with fresh seeds{times}")
            break
    for one in verdict.elsewhere:
        said = one.says_of(verdict.verdict)
        if said in (HELD, NOT_HELD):
            marks.append(f"{said} on {one.machine}")
    return marks


def again_kind(verdict: Verdict) -> str:
    """One word for all of it: the worst; "" where it was not asked again."""
    said = [one.says_of(verdict.verdict) for one in (*verdict.replications, *verdict.elsewhere)]
    return next((word for word in (NOT_HELD, LEFT_OPEN, HELD) if word in said), "")


def _found(again: Again) -> str:
    """`supported, 0.93 (0.91 to 0.95) times, n = 10`; with several clauses each by its name."""
    shown = [(clause.name, effect(clause)) for clause in again.clauses]
    several = len(again.clauses) > 1
    effects = [f"{name} {words}" if several else words for name, words in shown if words]
    stale = " (stale)" if again.stale else ""
    return ", ".join([f"{again.verdict}{stale}", *effects, f"n = {again.n}"])


def _when(again: Again) -> list[str]:
    return [again.date] if again.date else []


def _with_outcome(words: str, again: Again, verdict: str, where: str) -> str:
    said = again.says_of(verdict)
    return f"{words}. {_SENTENCES[said]}{where}." if said else f"{words}."
