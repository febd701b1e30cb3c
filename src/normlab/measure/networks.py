"""A trained network for claims that measure it themselves: one training, many measurements. Torch-free at import."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


@dataclass
class Trained:
    """A network after its last step, its data, and what a record says about them."""

    model: "nn.Module"
    data: Any
    cfg: Any

    @property
    def source(self) -> dict[str, str]:
        """For a trial's metrics["data"], so that the record names its data."""
        return {"name": self.data.name, "fingerprint": self.data.fingerprint}


def train_network(
    overrides: Sequence[str],
    seed: int,
    adapt: "Callable[[nn.Module, tuple[int, ...]], Any] | None" = None,
) -> Trained:
    """The network that `python train.py <overrides> seed=<seed>` trains, on the CPU, without its record.

    `adapt(model, input_shape)` changes the new network in place before the first step: to layers that no configuration
    has, say.
    """
    import torch

    from normlab.config.schema import compose
    from normlab.data import load_data
    from normlab.models import build_model
    from normlab.training.optim import build_optimizer, learning_rate
    from normlab.training.step import train_steps

    cfg = compose([*overrides, f"seed={seed}"])
    torch.manual_seed(seed)
    data = load_data(cfg.data, seed)
    model = build_model(cfg, data.modality, data.input_shape, data.num_outputs)
    if adapt is not None:
        adapt(model, data.input_shape)
    steps = cfg.trainer.max_steps or int(cfg.trainer.max_epochs * data.steps_per_epoch)
    train_steps(
        model, build_optimizer(cfg.optim, model), learning_rate(cfg.optim, steps), data.batch, 0, steps,
        clip_norm=cfg.optim.clip_norm,
    )  # fmt: skip
    return Trained(model.eval(), data, cfg)
