"""Lightning's trainer, for one pass over the chunks of a task."""

import logging
import warnings
from collections.abc import Sequence
from typing import Any

from normlab.config.schema import TrainerConfig
from normlab.training.lightning import L, Logger
from normlab.training.parallel import ALONE, Place
from normlab.training.processes import backend_of


def build_trainer(
    cfg: TrainerConfig,
    callbacks: Sequence[L.Callback],
    loggers: Sequence[Logger] = (),
    place: Place = ALONE,
) -> L.Trainer:
    """Silent, without checkpoints and progress of its own: callbacks of ours have these."""
    # Lightning advises on workers, optimizers and hardware: none of it applies to tensors in memory
    # and manual steps.
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    return L.Trainer(
        accelerator=cfg.accelerator.value,
        **_strategy(place, cfg),
        # One pass over the chunks is the whole training.
        max_epochs=1,
        logger=list(loggers) or False,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )


def _strategy(place: Place, cfg: TrainerConfig) -> dict[str, Any]:
    """Keywords of Lightning's Trainer for the group that this process has joined."""
    if place.world_size == 1:
        return {"devices": 1}
    from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    from lightning.pytorch.strategies import DDPStrategy

    # Where there is SLURM, Lightning would take its variables for those of this group.
    return {
        "devices": place.world_size,
        "strategy": DDPStrategy(process_group_backend=backend_of(cfg)),
        "plugins": [TorchElasticEnvironment()],
        "use_distributed_sampler": False,
    }
