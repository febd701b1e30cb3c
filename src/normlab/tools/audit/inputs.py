"""What reaches the norms of a network in a forward pass."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from normlab.errors import NormLabError
from normlab.tools.forward_pass import by_position, call
from normlab.tools.norm_layers import NormLayer
from normlab.tools.replica import quiet


class NotCallable(NormLabError):
    """The sample batch is none that the model takes."""


def inputs_of_norms(
    model: nn.Module, norms: list[NormLayer], batch: Any
) -> tuple[dict[str, Tensor], str | None]:
    """The first input of each norm, by name, when `model` is called with `batch`.

    Also the name of a norm that ended the forward pass, for it refuses groups of one value each;
    None where the pass went through. `model` keeps the hooks: pass a copy.

    Raises:
        NotCallable: the pass fails anywhere else.
    """
    inputs: dict[str, Tensor] = {}
    now: list[tuple[NormLayer, Tensor]] = []  # the norm that is being called, and its input

    def enter(norm: NormLayer) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, keywords: Any) -> None:
            positional, _ = by_position(module, args, keywords)
            if positional and isinstance(positional[0], Tensor):
                now[:] = [(norm, positional[0].detach())]
                # A shared norm is called more than once: its first input counts.
                inputs.setdefault(norm.name, positional[0].detach())

        return hook

    def leave(*_: Any) -> None:
        now.clear()

    for norm in norms:
        layer = model.get_submodule(norm.names[0])
        layer.register_forward_pre_hook(enter(norm), with_kwargs=True)
        layer.register_forward_hook(leave)
    try:
        with quiet(model):
            call(model, batch)
    except Exception as error:  # whatever somebody else's network raises
        # torch and ours refuse one value per group in train mode or always: that is a finding, not
        # an error of the caller's.
        if not now or not single_values(*now[0]):
            raise NotCallable(
                f"the model cannot be called with sample_batch ({type(error).__name__}: {error}): "
                "pass what its forward takes, a tensor, a tuple of arguments or a dict of keywords."
            ) from error
        norm, x = now[0]
        # The input that it refused, which may not be its first.
        inputs[norm.name] = x
        return inputs, norm.name
    return inputs, None


def single_values(norm: NormLayer, x: Tensor) -> int:
    """The number of groups where each holds one value of a sample, else 0."""
    if norm.kind not in ("groupnorm", "instancenorm") or not x.numel():
        return 0
    groups = int(getattr(norm.module, "num_groups", norm.features))
    single = x[0].numel() == groups
    # With running statistics, which torch's instance norm may have, one value is not its own mean.
    return groups if single and not getattr(norm.module, "track_running_stats", False) else 0
