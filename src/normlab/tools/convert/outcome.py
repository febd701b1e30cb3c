"""What a conversion did to each norm layer, as data and in words."""

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Outcome:
    """What became of a norm layer: `after` is None where it was left, and `notes` then say why.

    before: the layer in words; layer_class: the name of its class.
    """

    names: tuple[str, ...]
    layer_class: str
    before: str
    after: str | None
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        name = " = ".join(self.names) or "(the model itself)"
        change = f"{self.before} -> {self.after}" if self.after else f"{self.before} left"
        return "; ".join([f"{name}: {change}", *self.notes])


@dataclass(frozen=True)
class Conversion:
    """`model`, which is the new layer if it was itself a norm, and what became of its norms."""

    model: nn.Module
    norms: tuple[Outcome, ...]

    @property
    def replaced(self) -> tuple[Outcome, ...]:
        return tuple(norm for norm in self.norms if norm.after)

    @property
    def left(self) -> tuple[Outcome, ...]:
        return tuple(norm for norm in self.norms if not norm.after)

    def __str__(self) -> str:
        first = f"{len(self.replaced)} of {len(self.norms)} norm layers replaced"
        return "\n".join([first, *map(str, self.norms)])
