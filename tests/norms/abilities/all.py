"""All abilities: importing a module declares its own."""

from abilities import autograd, copies, edges, functional, tracing
from abilities.table import ABILITIES

__all__ = ["ABILITIES", "MODULES"]

MODULES = (autograd, functional, copies, tracing, edges)
