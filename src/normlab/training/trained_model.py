"""The network in a checkpoint that train.py wrote, with the data that it was trained on."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from torch import nn

from normlab.data import load_data
from normlab.errors import NormLabError
from normlab.models import build_model
from normlab.records.record import Record
from normlab.training.checkpoints import read_checkpoint


def load_trained(checkpoint: Path) -> tuple[nn.Module, Any]:
    """The network in `checkpoint`, in the mode that networks are built in, and its data as `load_data` gives them.

    Raises:
        NormLabError: no readable checkpoint, no configuration beside it, or tensors of another architecture.
    """
    state = read_checkpoint(checkpoint, given_as="")["state_dict"]
    cfg = configuration(checkpoint)
    data: Any = load_data(cfg.data, cfg.seed)
    model = build_model(cfg, data.modality, data.input_shape, data.num_outputs)
    try:
        model.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})
    except RuntimeError:
        raise NormLabError(
            f"{checkpoint}: its tensors are not those of the configuration beside it: pass last.ckpt in the run "
            "directory that it was written to, and the data that it was trained on."
        ) from None
    return model, data


def configuration(checkpoint: Path) -> Any:
    """What `checkpoint` was trained with: from record.json, or before the run's end from Hydra's copy beside it."""
    record = Record.read(checkpoint.parent / "record.json")
    if record is not None:
        return OmegaConf.create(record.config)
    hydra = checkpoint.parent / ".hydra" / "config.yaml"
    if hydra.is_file():
        return OmegaConf.load(hydra)
    raise NormLabError(
        f"{checkpoint}: neither record.json nor .hydra/config.yaml lies beside it: pass it in its run directory."
    )
