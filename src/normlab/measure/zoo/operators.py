"""What detectors need of torchvision's compiled operators, in Python where those do not load."""

from importlib import import_module
from typing import Any

import torch
from torch import Tensor


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Non-maximum suppression as torchvision's: places of the boxes that stay, best score first.

    boxes: (N, 4), x1, y1, x2, y2. A box goes where it overlaps a better one by more than
    `iou_threshold`, as intersection over union.
    """
    x1, y1, x2, y2 = boxes.unbind(1)
    areas = (x2 - x1) * (y2 - y1)
    waiting = scores.sort(descending=True, stable=True).indices
    kept = []
    while len(waiting):
        best, rest = waiting[0], waiting[1:]
        kept.append(best)
        width = torch.minimum(x2[best], x2[rest]) - torch.maximum(x1[best], x1[rest])
        height = torch.minimum(y2[best], y2[rest]) - torch.maximum(y1[best], y1[rest])
        common = width.clamp(min=0) * height.clamp(min=0)
        waiting = rest[common / (areas[best] + areas[rest] - common) <= iou_threshold]
    return torch.stack(kept) if kept else waiting


def provide_operators() -> None:
    """Puts them in where torchvision was built for another torch; changes nothing elsewhere."""
    if import_module("torchvision.extension")._has_ops():
        return
    boxes: Any = import_module("torchvision.ops.boxes")
    boxes.nms = nms
    align: Any = import_module("torchvision.ops.roi_align")
    # torchvision's own in Python, which it would compile first.
    align._roi_align = getattr(align._roi_align, "__wrapped__", align._roi_align)
