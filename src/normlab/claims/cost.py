"""What the trials that a claim still needs will cost, in seconds of one core."""

from collections.abc import Mapping, Sequence

from normlab.claims.claim import Claim, Protocol
from normlab.claims.design import Design, Progress
from normlab.records.record import Record


def first_look(design: Design, records: Mapping[str, Record]) -> Progress:
    """What the first look of a claim needs."""
    return design.progress(records, design.seeds or design.protocol.looks.sizes[0])


def seconds_left(protocol: Protocol, progress: Progress, records: Mapping[str, Record]) -> float:
    """What the trials that remain of a plan will take on one core."""
    choices, final = [], []
    for arm, by_seed in progress.tried.items():
        evaluated = {job.key for job in progress.evaluation[arm].values()}
        short = [job for by_rate in by_seed.values() for job in by_rate.values()]
        # Without a shorter budget the trials that a rate is chosen by are evaluation trials, too.
        final += [key for key in evaluated if key in records]
        choices += [job.key for job in short if job.key in records and job.key not in evaluated]
    if not protocol.choice:
        choices, final = [], choices + final
    full = _mean_seconds(final, records, protocol.seconds_per_trial)
    short_s = _mean_seconds(choices, records, protocol.seconds_per_choice)
    others = progress.remaining - progress.remaining_choices
    return progress.remaining_choices * short_s + others * full


def _mean_seconds(keys: Sequence[str], records: Mapping[str, Record], expected: float) -> float:
    """Of recorded trials, else what their protocol expects."""
    # By key: a claim's trials under another protocol, or those of a GPU, take another time.
    seconds = [records[key].duration_s for key in keys if records[key].duration_s]
    return sum(seconds) / len(seconds) if seconds else expected


def cost_line(claim: Claim, design: Design, shared: int) -> str:
    """The line of a claim's file: what its first look costs from nothing on.

    shared: how many of its trials are other claims', too.
    """
    progress = first_look(design, {})
    seconds = seconds_left(design.protocol, progress, {})
    looks = " to its first look" if len(design.protocol.looks.sizes) > 1 else ""
    trials = "1 trial" if progress.remaining == 1 else f"{progress.remaining} trials"
    count = "all" if shared == progress.remaining else f"{shared}"
    others = f"; {count} of them are other claims', too" if shared else ""
    command = f"normlab run {claim.slug} --profile full"
    return f"Cost: {command}    {trials}{looks}, {time_in_words(seconds)} of one core{others}"


def time_in_words(seconds: float) -> str:
    """`a second`, `20 seconds`, `a minute`, `12 minutes` or `1.2 hours`."""
    if seconds < 1.5:
        return "a second"
    if seconds < 55:
        return f"{seconds:.0f} seconds"
    if seconds < 90:
        return "a minute"
    return f"{seconds / 60:.0f} minutes" if seconds < 3600 else f"{seconds / 3600:.1f} hours"
