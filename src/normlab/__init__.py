"""NormLab: what is written about normalization layers, put to the test.

Importing this package imports neither torch nor lightning, so that `normlab --help` answers at once.
"""

__version__ = "0.1.0"
