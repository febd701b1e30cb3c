"""Import this before torchvision, and before what imports it: lightning, timm, transformers.

PyPI serves torchvision only as a CUDA build. Beside a CPU build of torch its compiled operators do
not load, and `import torchvision` (which lightning does through torchmetrics) then stops at the
meta registration of an operator that was never defined. Nothing here uses those operators, so
declaring their names is enough.
"""

import importlib
import importlib.util

import torch

_DETECTION_OPERATORS = tuple(
    f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" for name in ("nms", "qnms")
)
_library = None  # torch drops the definitions when this object is collected


def _declare_missing_operators() -> None:
    global _library
    if importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        # Only the missing operators are ours to mend; the failed import is then tried again.
        if "torchvision::" not in str(error):
            raise
        _library = torch.library.Library("torchvision", "DEF")
        for schema in _DETECTION_OPERATORS:
            _library.define(schema)
        importlib.import_module("torchvision")


_declare_missing_operators()
