"""The hooks on a module's calls."""

from torch import nn

HOOKS = frozenset(
    {
        "_forward_hooks",
        "_forward_hooks_with_kwargs",
        "_forward_hooks_always_called",
        "_forward_pre_hooks",
        "_forward_pre_hooks_with_kwargs",
        "_backward_hooks",
        "_backward_pre_hooks",
    }
)  # the attributes in which torch keeps them


def clear_hooks(module: nn.Module) -> None:
    """Removes every hook from `module`, and none from the modules inside it."""
    for name in HOOKS & set(vars(module)):
        vars(module)[name].clear()
