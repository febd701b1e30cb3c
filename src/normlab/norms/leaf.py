"""What a tracer takes as a whole: one call in its graph, as each of torch's own layers is."""

from torch import nn

from normlab.errors import NormLabError


class Leaf(nn.Module):
    """A module that `torch.fx` records as one call.

    A tracer of torch.fx (`symbolic_trace`, torchvision's `create_feature_extractor`) walks through
    the forward of every module, which may not ask for shapes there, but for those that say that
    they are of `torch.nn`. It asks the module, not its class, so each says so itself: nothing
    goes through a call of the layer, and the class keeps its name, by which it is saved.
    """

    def __init__(self) -> None:
        super().__init__()
        # Not "torch.nn.": by the point a compiler knows torch's own, and treats them otherwise.
        self.__module__ = f"torch.nn, as {type(self).__module__} is a leaf too"

    def __prepare_scriptable__(self) -> "Leaf":
        """What torch.jit.script asks for first."""
        raise NormLabError(
            "torch.jit.script cannot compile the norms of normlab: "
            "use torch.jit.trace, torch.export.export or torch.compile instead."
        )
