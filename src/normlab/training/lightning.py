"""Lightning, as every module of ours imports it: `from normlab.training.lightning import L`.

It imports torchvision, and so comes after the operators that torchvision may miss.
"""
# ruff: noqa: I001

import normlab.models.torchvision_operators
import lightning.pytorch as L
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

__all__ = ["CSVLogger", "L", "Logger", "TensorBoardLogger", "WandbLogger", "move_data_to_device"]
