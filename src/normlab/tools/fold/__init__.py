"""`fold`: batch norms of a trained network folded into the layers beside them."""

from normlab.tools.fold.model import fold

__all__ = ["fold"]
