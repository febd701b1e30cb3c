"""The eps of a layer of any library, by what its attribute is called."""

import re

from torch import nn

# A word of the name, so that warmup_steps is none.
_NAME = re.compile(r"(.*_)?eps(ilon)?(_.*)?", re.IGNORECASE)


def eps_of(module: nn.Module) -> float | None:
    """What `module` keeps as `eps`, `epsilon`, `variance_epsilon` or the like.

    None where it keeps no number of such a name: it may have none, or one that stands in its code.
    """
    # Its own before those of its classes, which some have for all of their layers.
    for kept in (vars(module), *map(vars, type(module).__mro__)):
        for name, value in kept.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if is_number and _NAME.fullmatch(name):
                return float(value)
    return None
