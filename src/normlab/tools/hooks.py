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


# Libraries whose networks put hooks on their own modules, and miss what these collect without them.
_OF_NETWORKS = ("transformers.",)


def clear_hooks(module: nn.Module) -> None:
    """Removes the hooks from `module` that its own library has not put there; none further inside.

    Those of `transformers` collect the hidden states that its networks return.
    """
    for name in HOOKS & set(vars(module)):
        hooks = vars(module)[name]
        for key, hook in list(hooks.items()):
            if not str(getattr(hook, "__module__", "")).startswith(_OF_NETWORKS):
                del hooks[key]
