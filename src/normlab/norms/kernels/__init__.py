"""Norms in C for the CPU: what runs, and how to turn it off.

`NORMLAB_KERNELS=off` in the environment turns the kernels off, and so does `without_kernels()` for
a part of a program. Norms then run by torch's own operations, to other last digits.
"""

from normlab.norms.kernels.library import family, name, without_kernels

__all__ = ["family", "name", "without_kernels"]
