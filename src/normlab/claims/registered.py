"""results/versions.json: which versions of each claim have been run, with which seeds, since when.

`normlab run` writes a row before the first trial of a version, so that a rule which is changed
after its trials were seen is another version, and needs fresh seeds. A row that has been followed
by another keeps what its version gave.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from normlab.claims.claim import Claim
from normlab.claims.version import version
from normlab.errors import NormLabError
from normlab.records.files import write_atomically
from normlab.records.verdict import Earlier, Verdict

FILE = "versions.json"
FIRST_GENERATION = "first_generation.json"  # what each claim gave under the rules before these
SCHEMA = 1


@dataclass(frozen=True)
class Registered:
    """A version of a claim under one protocol: its seeds, and the commit that first ran it."""

    version: str
    first_seed: int
    seeds: int  # of every arm, at the last look
    commit: str | None
    verdict: str = ""
    text: str = ""


Rows = Mapping[str, Mapping[str, Sequence[Registered]]]  # by slug and protocol, oldest first


def registered(folder: Path) -> Rows:
    """All rows of a results folder; none where nothing has been run.

    Raises:
        NormLabError: the file is damaged, or of a later schema.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] > SCHEMA:
            raise NormLabError(f"{path} is of schema {content['schema']}: install a newer normlab.")
        return {slug: _read(by_protocol) for slug, by_protocol in content["claims"].items()}
    except NormLabError:
        raise
    except (ValueError, KeyError, TypeError):
        raise NormLabError(f"{path} cannot be read: restore it from version control.") from None


def _read(by_protocol: Mapping[str, Sequence[Mapping[str, object]]]) -> dict[str, list[Registered]]:
    read: dict[str, list[Registered]] = {}
    for protocol, rows in by_protocol.items():
        read[protocol] = [Registered(**row) for row in rows]  # type: ignore[arg-type]
    return read


def register(
    claims: Sequence[tuple[Claim, str]],
    folder: Path,
    commit: str | None,
    before: Mapping[str, Verdict],
) -> None:
    """Write a row for the version of each (claim, protocol), unless it is the last one there.

    commit: of the code that runs it. before: verdicts by slug, of what the version before gave.

    Raises:
        NormLabError: the claim has been changed, and its seeds are those of a version before.
    """
    rows, changed = _with_versions(claims, folder, commit, before)
    if changed:
        _write(folder, rows)


def check_fresh(claims: Sequence[tuple[Claim, str]], folder: Path) -> None:
    """Nothing, if `register` would write these.

    Raises:
        NormLabError: a claim has been changed, and its seeds are those of a version before.
    """
    _with_versions(claims, folder, None, {})


def _with_versions(
    claims: Sequence[tuple[Claim, str]],
    folder: Path,
    commit: str | None,
    before: Mapping[str, Verdict],
) -> tuple[Rows, bool]:
    """The rows of a folder with those of `claims`, and whether any is new."""
    rows: dict[str, dict[str, Sequence[Registered]]] = {
        slug: {**by_protocol} for slug, by_protocol in registered(folder).items()
    }
    changed = False
    for claim, protocol in claims:
        earlier = rows.setdefault(claim.slug, {}).get(protocol, ())
        now = Registered(
            version(claim, protocol),
            claim.first_seed,
            claim.protocols[protocol].looks.most,
            commit,
        )
        if earlier and earlier[-1].version == now.version:
            continue
        _check_fresh(claim, now, earlier)
        kept = [_with_outcome(row, before.get(claim.slug)) for row in earlier]
        rows[claim.slug][protocol] = [*kept, now]
        changed = True
    return rows, changed


def _check_fresh(claim: Claim, now: Registered, earlier: Sequence[Registered]) -> None:
    # 0: its trials neither train nor time, and an identity has no luck that could be chosen.
    if not earlier or not claim.first_seed:
        return
    free = max(row.first_seed + row.seeds for row in earlier)
    if now.first_seed < free:
        last = earlier[-1]
        raise NormLabError(
            f"{claim.slug} has been changed since version {last.version}, whose seeds from "
            f"{last.first_seed} on have been used: undo the change, or give it fresh ones, "
            f"first_seed={-(-free // 100) * 100}."
        )


def _with_outcome(row: Registered, verdict: Verdict | None) -> Registered:
    if verdict is None or verdict.version != row.version:
        return row
    text = verdict.answer or f"n = {verdict.n}"
    return replace(row, verdict=verdict.verdict, text=text)


def _write(folder: Path, rows: Rows) -> None:
    claims = {
        slug: {protocol: [asdict(row) for row in given] for protocol, given in by_protocol.items()}
        for slug, by_protocol in rows.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    content = {"schema": SCHEMA, "claims": claims}
    write_atomically(folder / FILE, json.dumps(content, indent=1, sort_keys=True) + "\n")


def history(slug: str, protocol: str, now: str, folder: Path) -> tuple[Earlier, ...]:
    """What a claim gave before version `now`: the first generation, then versions since."""
    path = folder / FIRST_GENERATION
    lines = []
    if path.is_file():
        first = json.loads(path.read_text(encoding="utf-8")).get(slug)
        lines += [Earlier(**first)] if first else []
    for row in registered(folder).get(slug, {}).get(protocol, ()):
        if row.version != now and row.verdict:
            lines.append(Earlier(row.version, row.verdict, row.text))
    return tuple(lines)


def not_run(claim: Claim, protocol: str, now: str, folder: Path) -> str:
    """Why the trials of a folder may not decide version `now` of a claim; "" if they may."""
    rows = registered(folder).get(claim.slug, {}).get(protocol, ())
    if not rows or not claim.first_seed or rows[-1].version == now:
        return ""
    return f"recorded for version {rows[-1].version}, this is {now}: it needs fresh seeds"
