"""The zoo's table on disk: results/zoo.jsonl, a row for each network; the last one counts."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path

from normlab.errors import NormLabError
from normlab.records.code_hash import version_1
from normlab.records.lines import ZOO, read_lines
from normlab.records.places import PACKAGE, RESULTS, newest

# What a row depends on, beside the library.
_CODE = ("tools", "tools/convert", "tools/fold", "tools/audit", "measure/zoo")


@dataclass
class Row:
    """What became of a network.

    parameters: None where it was not built. norms: how many of each kind; kind "" for those that
    could not be read. left: norms that were not converted, by reason. kept: batch norms that were
    not folded, by reason; `missed` of them stay for the code around them, where a layer may stand
    beside them. fold_difference: the largest over all outputs, relative to the largest value.
    findings: the first place and its reason, by the name of a finding, in train mode, and
    findings_eval in eval mode. step: "ok", "refused" by the new norms, "failed", or "not tried".
    seconds: of CPU time. reasons: what failed, in a sentence, by stage.
    """

    network: str
    family: str
    library: str
    version: str
    code: str
    torch: str = ""
    parameters: int | None = None
    norms: dict[str, int] = field(default_factory=dict)
    converted: int | None = None
    left: dict[str, int] = field(default_factory=dict)
    batch_norms: int | None = None
    folded: int = 0
    missed: int = 0
    kept: dict[str, int] = field(default_factory=dict)
    fold: str = ""
    fold_difference: float | None = None
    findings: dict[str, str] | None = None
    findings_eval: dict[str, str] | None = None
    step: str = ""
    seconds: float = 0.0
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        """What it was measured on; a row with another key is measured again."""
        return self.network, self.version, self.code

    @property
    def line(self) -> str:
        return json.dumps(asdict(self), allow_nan=False)


@cache
def code_hash() -> str:
    """8 hexadecimal digits: the code of conversion, folding, audit and zoo, comments aside."""
    files: list[Path] = []
    for folder in _CODE:
        files += sorted((PACKAGE / folder).glob("*.py"))
    hashes = [version_1(file.read_text(encoding="utf-8")) for file in files]
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()[:8]


def read_rows(folder: Path = RESULTS) -> dict[str, Row]:
    """The last row of each network, by its name; none where there is no table.

    Raises:
        NormLabError: a line that is no row.
    """
    path = newest(folder, ZOO)
    if not path.is_file():
        return {}
    known = {one.name for one in fields(Row)}
    rows: dict[str, Row] = {}
    for number, line in read_lines(path):
        try:
            values = json.loads(line)
            row = Row(**{name: values[name] for name in values if name in known})
        except (ValueError, TypeError) as error:
            raise NormLabError(f"{path}, line {number} is no row of the zoo: {error}.") from None
        rows[row.network] = row
    return rows


def sorted_lines(rows: Iterable[Row]) -> str:
    """The whole file with one line for each network, by name."""
    return "".join(f"{row.line}\n" for row in sorted(rows, key=lambda row: row.network))
