"""What norms share that may learn a gain and a shift for each value of a sample."""

from collections.abc import Sequence

from torch import Tensor

from normlab.errors import NormLabError
from normlab.norms.base import Norm
from normlab.norms.spec import LAYOUTS
from normlab.norms.tensors import as_maps, from_maps, from_rows, is_channels_last

_SIZES = {
    "NC": "(C,)",
    "NCL": "(C, L)",
    "NCHW": "(C, H, W)",
    "NCDHW": "(C, D, H, W)",
    "NTC": "(T, C)",
}


class ElementwiseNorm(Norm):
    """A norm over a sample, or over each position, as its number of features says.

    Args:
        num_features: the number of channels C, or the sizes of all dimensions but the first, as
            `nn.LayerNorm` takes them: (C, L), (C, H, W), (C, D, H, W) or (T, C), as `layout` says.
            With several sizes the statistics are over a whole sample, and gain and shift have
            these sizes too.

    Raises:
        NormLabError: sizes that are not those of `layout`; in forward, a sample of other sizes.
    """

    normalized_shape: tuple[int, ...] | None  # None for one number of features

    def __init__(self, num_features: int | Sequence[int], layout: str) -> None:
        sizes = tuple(num_features) if isinstance(num_features, Sequence) else (num_features,)
        # An unknown layout is refused by Norm.
        if len(sizes) not in (1, LAYOUTS.get(layout, 2) - 1) or (len(sizes) > 1 and min(sizes) < 1):
            raise NormLabError(
                f"{type(self).__name__} cannot normalize {sizes} on layout {layout}: pass the "
                f"number of channels, or the sizes {_SIZES[layout]}."
            )
        super().__init__(sizes[-1] if layout == "NTC" else sizes[0], layout)
        self.normalized_shape = sizes if len(sizes) > 1 else None
        self._is_over_positions = not self._is_over_maps and self.normalized_shape is None

    def parameter_shape(self) -> tuple[int, ...]:
        return self.normalized_shape or super().parameter_shape()

    def check_sizes(self, x: Tensor) -> None:
        """Raises NormLabError unless samples have the sizes given, which `check` does not ask."""
        if x.shape[1:] != self.normalized_shape:
            raise NormLabError(
                f"{type(self).__name__} over samples of {self.normalized_shape} was given a tensor "
                f"of shape {tuple(x.shape)}: pass samples of these sizes."
            )

    def extra_repr(self) -> str:
        sizes = f", normalized_shape={self.normalized_shape}" if self.normalized_shape else ""
        return f"{super().extra_repr()}{sizes}"


def as_sample_rows(x: Tensor, layout: str, parameters: Sequence[Tensor]) -> list[Tensor]:
    """A batch as rows (N, values), and parameters of a sample's shape as (values,).

    In the order of memory, of channels_last maps too: the batch is not copied.
    """
    maps = as_maps(x, layout)
    rows = [maps, *(as_maps(parameter.unsqueeze(0), layout) for parameter in parameters)]
    if is_channels_last(maps):
        rows = [tensor.permute(0, 2, 3, 1) for tensor in rows]
    return [rows[0].flatten(1), *(row.flatten() for row in rows[1:])]


def from_sample_rows(rows: Tensor, layout: str, like: Tensor) -> Tensor:
    """The inverse, for rows that were made of `like`."""
    maps = as_maps(like, layout)
    y = from_rows(rows, maps) if is_channels_last(maps) else rows.view(maps.shape)
    return from_maps(y, layout, like)
