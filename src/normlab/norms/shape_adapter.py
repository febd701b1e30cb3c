"""The adapter between a layer that took inputs of any shape and a norm of a stated layout."""

from typing import Any

from torch import Tensor, nn


class AnyShape(nn.Module):
    """A norm of maps or sequences that takes what the layer in whose place it stands took.

    channels "first": (N, C, *), over all positions as one map. "last": (N, *, C), over all positions as one sequence,
    and the first dimension counts as the samples, which matters to norms over positions or over the batch. `parts`
    are applied after the norm, in their order. What else is asked of it (`weight`, `eps`) is the norm's.
    """

    def __init__(
        self, norm: nn.Module, channels: str, parts: dict[str, nn.Module] | None = None
    ) -> None:
        super().__init__()
        self.norm = norm
        self.channels = channels
        self._parts = tuple(parts or ())
        for name, part in (parts or {}).items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == (3 if self.channels == "last" else 4):
            y = self.norm(x)
        elif self.channels == "last":
            y = self.norm(x.reshape(len(x) if x.ndim > 1 else 1, -1, x.shape[-1])).reshape(x.shape)
        else:
            y = self.norm(x.reshape(*x.shape[:2], -1, 1)).reshape(x.shape)
        for name in self._parts:
            y = self._modules[name](y)  # type: ignore[misc]
        return y

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "norm":
                raise
            return getattr(self.norm, name)

    def extra_repr(self) -> str:
        return f"channels={self.channels}"
