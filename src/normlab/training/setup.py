"""From a configuration to everything that the first training step needs. Without lightning."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from normlab.config.schema import Config, Precision
from normlab.data import Dataset, load_data
from normlab.errors import NormLabError
from normlab.models import build_model
from normlab.records.record import DataSource
from normlab.training.guest_trial import try_guest
from normlab.training.optim import build_optimizer, learning_rate
from normlab.training.parallel import ALONE, Place
from normlab.training.step import train_steps

DEFAULT_EPOCHS = 10


@dataclass(frozen=True)
class Setup:
    """A network, its data and how it is trained on them."""

    cfg: Config
    data: Dataset
    model: nn.Module
    steps: int  # of the whole training
    optimizer: torch.optim.Optimizer
    rate: Callable[[int], float]  # the learning rate of a 0-based step

    @property
    def bf16(self) -> bool:
        """Whether the forward pass runs under autocast to bfloat16."""
        return self.cfg.trainer.precision is Precision.bf16

    @property
    def source(self) -> DataSource:
        """What a record says of its data."""
        return {"name": self.data.name, "fingerprint": self.data.fingerprint}

    def train(
        self,
        first: int = 0,
        end: int | None = None,
        *,
        backward: Callable[[Tensor], Any] = Tensor.backward,
    ) -> Tensor:
        """The steps from `first` to before `end`, None for all that are left; their losses.

        Shape of the losses: (steps,).
        """
        return train_steps(
            self.model,
            self.optimizer,
            self.rate,
            self.data.batch,
            range(first, self.steps if end is None else end),
            accumulate=self.cfg.trainer.accumulate,
            clip_norm=self.cfg.optim.clip_norm,
            bf16=self.bf16,
            backward=backward,
        )


def set_up(
    cfg: Config,
    *,
    data: Dataset | None = None,
    steps: int | None = None,
    adapt: Callable[[nn.Module, tuple[int, ...]], object] | None = None,
    device: str | torch.device = "cpu",
    place: Place = ALONE,
) -> Setup:
    """Seed torch, load the data, build the network and its optimizer: the one way into a training.

    Args:
        data: used instead of those that `cfg.data` names.
        steps: the length of the training instead of the budget of `cfg.trainer`.
        adapt: changes the new network in place, given the shape of an input: to layers that no
            configuration has, say.
        place: of this process among several that train together.

    Raises:
        NormLabError: data, network, budget or optimizer cannot be had as configured.
    """
    if cfg.seed < 0:
        raise NormLabError(f"seed={cfg.seed}: give 0 or a whole number above it.")
    # For what draws without a generator: layers of users, and torch's own initial values.
    torch.manual_seed(cfg.seed)
    channels_last = cfg.trainer.channels_last
    if data is None:
        data = load_data(
            cfg.data,
            cfg.seed,
            device,
            rank=place.rank,
            world_size=place.world_size,
            channels_last=channels_last,
        )
    model = build_model(cfg, data.modality, data.input_shape, data.num_outputs)
    # Before the move and the optimizer: what it adds is moved and trained like the rest.
    if adapt is not None:
        adapt(model, data.input_shape)
    # Drawn on the CPU and then moved: the same weights on every device.
    model = model.to(device)
    if channels_last:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if steps is None:
        steps = total_steps(cfg, data.steps_per_epoch)
    optimizer = build_optimizer(cfg.optim, model)
    setup = Setup(cfg, data, model, steps, optimizer, learning_rate(cfg.optim, steps))
    if cfg.norm.kind == "custom" and place.world_size == 1:
        try_guest(setup)
    return setup


def total_steps(cfg: Config, steps_per_epoch: int) -> int:
    """Optimizer steps of the budget: epochs, steps or samples, one of them; 10 epochs without.

    Raises:
        NormLabError: several budgets, or one that is not above 0.
    """
    trainer = cfg.trainer
    budgets = {
        "max_epochs": trainer.max_epochs,
        "max_steps": trainer.max_steps,
        "max_samples": trainer.max_samples,
    }
    given = {name: value for name, value in budgets.items() if value is not None}
    if len(given) > 1:
        words = " and ".join(f"trainer.{name}={value}" for name, value in given.items())
        raise NormLabError(f"{words}: give one budget, not several.")
    positive = {
        **given,
        "accumulate": trainer.accumulate,
        "chunk_steps": trainer.chunk_steps or 1,
    }
    for name, value in positive.items():
        if not value > 0:
            raise NormLabError(f"trainer.{name}={value}: give a number above 0.")
    # As given, where the others are turned into steps of `accumulate` batches.
    if trainer.max_steps is not None:
        return trainer.max_steps
    epochs = trainer.max_epochs or DEFAULT_EPOCHS
    samples = trainer.max_samples or epochs * steps_per_epoch * cfg.data.batch_size
    return max(1, int(samples / (cfg.data.batch_size * trainer.accumulate)))
