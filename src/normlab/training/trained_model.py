"""The network in a checkpoint that train.py wrote, with the data that it was trained on."""

from pathlib import Path
from typing import Any

from torch import nn

from normlab.config.schema import Config
from normlab.data import Dataset, load_data
from normlab.errors import NormLabError
from normlab.models import build_model
from normlab.records.record import Record
from normlab.training.checkpoints import read_checkpoint


def load_trained(checkpoint: Path) -> tuple[nn.Module, Dataset]:
    """The network in `checkpoint`, in the mode that networks are built in, and its data.

    Raises:
        NormLabError: no readable checkpoint, no configuration beside it, or tensors of another
            architecture.
    """
    state = read_checkpoint(checkpoint, given_as="")["state_dict"]
    cfg = configuration(checkpoint)
    data = load_data(cfg.data, cfg.seed)
    model = build_model(cfg, data.modality, data.input_shape, data.num_outputs)
    try:
        # The task calls its network `model`.
        model.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})
    except RuntimeError:
        raise NormLabError(
            f"{checkpoint}: its tensors are not those of the configuration beside it: pass "
            "last.ckpt in the run directory that it was written to, and the data that it was "
            "trained on."
        ) from None
    return model, data


def configuration(checkpoint: Path) -> Config:
    """What `checkpoint` was trained with.

    From record.json, or before the run's end from Hydra's copy beside it.

    Raises:
        NormLabError: there is neither, or it is of another version of normlab.
    """
    # Not at import: the tools for users' own models read checkpoints, and need no Hydra otherwise.
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from normlab.config.compose import typed

    record = Record.read(checkpoint.parent / "record.json")
    hydra = checkpoint.parent / ".hydra" / "config.yaml"
    node: Any
    if record is not None:
        node = OmegaConf.create(record.config)
    elif hydra.is_file():
        node = OmegaConf.load(hydra)
    else:
        raise NormLabError(
            f"{checkpoint}: neither record.json nor .hydra/config.yaml lies beside it: pass it in "
            "its run directory."
        )
    try:
        return typed(node)
    except OmegaConfBaseException as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise NormLabError(
            f"{checkpoint}: the configuration beside it is of another version ({reason}): train "
            "the network again, with this one."
        ) from None
