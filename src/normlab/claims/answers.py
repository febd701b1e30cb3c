"""The answer of a claim: one plain sentence with its numbers, for each verdict, written before.

    Answers(
        supported="With two samples per statistic BatchNorm loses {two.effect:.1f} points "
        "({two.low:.1f} to {two.high:.1f}) against 64.",
        refuted="...",
    )

A field names a part and what is asked of its finding: effect, low, high, n, or `size` for the
effect without its sign.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter

from normlab.errors import NormLabError
from normlab.records.verdict import INCONCLUSIVE, PARTLY, REFUTED, SUPPORTED, PartVerdict


class _Numbers:
    """What a template may ask of a part."""

    def __init__(self, part: PartVerdict) -> None:
        self.effect, self.low, self.high, self.n = part.effect, part.low, part.high, part.n
        self.size = None if part.effect is None else abs(part.effect)


UNFINISHED = "Not decided yet: not all of its trials have run."


class _Format(Formatter):
    """A number that is not there reads "?", whatever its format."""

    complete = True  # whether all numbers were there

    def format_field(self, value: object, format_spec: str) -> str:
        if value is None:
            self.complete = False
            return "?"
        return str(super().format_field(value, format_spec))


@dataclass(frozen=True)
class Answers:
    """By verdict. An empty one of `partly` is the sentence of `refuted`."""

    supported: str
    refuted: str
    partly: str = ""
    inconclusive: str = "Not decided: the evidence leaves both answers open."

    def answer(self, verdict: str, parts: Mapping[str, PartVerdict]) -> str:
        """The sentence of `verdict`, with the numbers of `parts` by name; empty without data.

        What is open since trials are missing says so, and shows no sentence with gaps.

        Raises:
            NormLabError: a template names a part that the claim lacks, or a number that none has.
        """
        templates = {
            SUPPORTED: self.supported,
            REFUTED: self.refuted,
            PARTLY: self.partly or self.refuted,
            INCONCLUSIVE: self.inconclusive,
        }
        template = templates.get(verdict, "")
        numbers = {name: _Numbers(part) for name, part in parts.items()}
        form = _Format()
        try:
            text = form.vformat(template, (), numbers)
        except (KeyError, AttributeError) as error:
            known = ", ".join(parts)
            raise NormLabError(
                f"the answer {template!r} asks for {error}: the parts are {known}, each with "
                "effect, low, high, n and size."
            ) from None
        return UNFINISHED if verdict == INCONCLUSIVE and not form.complete else text
