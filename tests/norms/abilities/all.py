"""All abilities: importing a module declares its own."""

from abilities import autograd, edges
from abilities.table import ABILITIES

__all__ = ["ABILITIES", "MODULES"]

MODULES = (autograd, edges)
