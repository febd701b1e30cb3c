"""`convert`: other norm layers in a network that was built with its own."""

from normlab.tools.convert.model import convert
from normlab.tools.convert.outcome import Conversion, Outcome

__all__ = ["Conversion", "Outcome", "convert"]
