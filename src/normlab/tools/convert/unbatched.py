"""The adapter for norms in the place of instance norms, which take one sample without a batch."""

from torch import Tensor, nn

from normlab.norms.shape_adapter import ShapeAdapter


class UnbatchedAdapter(ShapeAdapter):
    """A norm that takes (N, C, *) and (C, *), as torch's instance norms do.

    Args:
        norm: a norm of a layout with channels first.
        dims: the number of dimensions of a batch; an input of one less is one sample.
    """

    def __init__(self, norm: nn.Module, dims: int) -> None:
        super().__init__(norm, "first")
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        alone = x.ndim == self.dims - 1
        y: Tensor = self.norm(x.unsqueeze(0) if alone else x)
        return y.squeeze(0) if alone else y
