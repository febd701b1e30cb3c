"""NormLab: what is written about normalization layers, put to the test.

Importing this package imports neither torch nor lightning, so that `normlab --help` answers at
once; what works on models is imported when it is first asked for, and needs torch alone.
"""

import importlib
from typing import TYPE_CHECKING, Any

from normlab.errors import extras_named

if TYPE_CHECKING:
    from normlab.claims.claim import Claim
    from normlab.norms.make import make_norm
    from normlab.tools.audit import audit
    from normlab.tools.audit.callback import AuditCallback
    from normlab.tools.convert import convert
    from normlab.tools.fold import fold

__all__ = ["AuditCallback", "Claim", "audit", "convert", "fold", "make_norm"]
__version__ = "0.1.0"

_MODULES = {
    "AuditCallback": "normlab.tools.audit.callback",  # needs normlab[train]
    "Claim": "normlab.claims.claim",
    "audit": "normlab.tools.audit",
    "convert": "normlab.tools.convert",
    "fold": "normlab.tools.fold",
    "make_norm": "normlab.norms.make",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with extras_named():
        return getattr(importlib.import_module(_MODULES[name]), name)
