"""NormLab: what is written about normalization layers, put to the test.

Importing this package imports neither torch nor lightning, so that `normlab --help` answers at once; what works on
models is imported when it is first asked for.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_TOOLS = {  # name -> module
    "fold": "tools.fold", "convert": "tools.convert", "audit": "tools.audit", "AuditCallback": "tools.audit.callback"
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _TOOLS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_TOOLS[name]}"), name)
