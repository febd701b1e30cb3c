"""Lightning, as every module of ours imports it: `from normlab.training.lightning import L`.

It imports torchvision, and so comes after the operators that torchvision may miss.
"""

import normlab.models.torchvision_operators  # noqa: F401
from normlab.errors import extras_named

with extras_named():
    import lightning.pytorch as L
    from lightning.fabric.utilities import move_data_to_device
    from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

__all__ = ["CSVLogger", "L", "Logger", "TensorBoardLogger", "WandbLogger", "move_data_to_device"]
