"""The adapter between a layer that took inputs of any shape and a norm of a stated layout."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from normlab.norms.leaf import Leaf


class ShapeAdapter(Leaf):
    """A norm that takes the shapes which the layer in whose place it stands took.

    What else is asked of it (`weight`, `eps`) is the norm's.

    Shape: (N, C, *) or (N, *, C) as `channels` says, the same out as in.

    Args:
        norm: a norm of layout NCHW for channels "first", NTC for channels "last".
        channels: "first": (N, C, *), all positions as one map. "last": (N, *, C), all positions
            as one sequence, and the first dimension counts as the samples, which matters to norms
            over positions or over the batch.
        followers: layers that are applied after the norm, by name, in their order.
    """

    def __init__(
        self, norm: nn.Module, channels: str, followers: Mapping[str, nn.Module] | None = None
    ) -> None:
        super().__init__()
        self.norm = norm
        self.channels = channels
        self._followers = tuple(followers or ())
        for name, follower in (followers or {}).items():
            self.add_module(name, follower)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor
        if x.ndim == (3 if self.channels == "last" else 4):
            y = self.norm(x)
        elif self.channels == "last":
            # (C,) alone is one position of one sample.
            samples = x[None, None] if x.ndim == 1 else x.unsqueeze(-2).flatten(1, -2)
            y = self.norm(samples).reshape(x.shape)
        else:
            y = self.norm(x.unsqueeze(2).flatten(2).unsqueeze(3)).reshape(x.shape)
        for name in self._followers:
            y = self.get_submodule(name)(y)
        return y

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "norm":  # before `norm` is set, as in a copy
                raise
            return getattr(self.norm, name)

    def extra_repr(self) -> str:
        return f"channels={self.channels}"
