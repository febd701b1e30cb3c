"""What a norm shows a causal language model: its losses in train mode and in eval mode.

On sequences that it has not seen. Torch-free at import.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from normlab.records.measurement import Measurement

if TYPE_CHECKING:
    from torch import Tensor

VOCABULARY, LENGTH = 8, 16  # of the uniform tokens
SEQUENCES = 2048


class UniformTokens:
    """Every token drawn anew: no model that cannot see a token has less than ln 8 nats of loss."""

    name, fingerprint = "uniform tokens", ""
    modality = "text"
    input_shape, num_outputs = (LENGTH,), VOCABULARY
    trivial_loss, steps_per_epoch = math.log(VOCABULARY), 1

    def __init__(self, batch_size: int, seed: int) -> None:
        import torch

        self.batch_size = batch_size
        self.generator = torch.Generator().manual_seed(seed)

    def batch(self, step: int) -> "tuple[Tensor, Tensor]":
        """x and y, int64 (N, T)."""
        import torch

        # One generator for training and evaluation: what is evaluated on are new sequences.
        ids = torch.randint(VOCABULARY, (self.batch_size, LENGTH + 1), generator=self.generator)
        return ids[:, :-1], ids[:, 1:]

    def eval_batches(self, split: str) -> "Iterator[tuple[Tensor, Tensor]]":
        """Of new sequences, whatever the split."""
        return (self.batch(0) for _ in range(SEQUENCES // self.batch_size))


def losses(overrides: Sequence[str], seed: int, uniform: bool) -> Measurement:
    """Trains what `python train.py <overrides>` describes: a causal model, on its text or on
    tokens.

    Uniform tokens come in sequences half as long or less, so that there are twice the steps. Any
    norm is let in.

    Returns:
        train_mode_loss: with the statistics of batches as in training, without a gradient;
        eval_mode_loss: on the same sequences, which are new ones or the validation split; data, for
        the record. Losses are in nats.
    """
    import copy

    import torch

    from normlab.config.compose import compose
    from normlab.training.setup import set_up
    from normlab.training.step import evaluate, loss_of

    cfg = compose([*overrides, "allow_noncausal=true", f"seed={seed}"])
    size = cfg.data.batch_size
    if uniform:
        assert cfg.trainer.max_steps is not None, "the budget of this claim is in steps"
        steps = 2 * cfg.trainer.max_steps
        setup = set_up(cfg, data=UniformTokens(size, seed), steps=steps)
    else:
        setup = set_up(cfg)
    setup.train()
    fresh = []  # in batches as in training
    for x, y in setup.data.eval_batches("val"):
        pairs = zip(x.split(size), y.split(size), strict=True)
        fresh += [pair for pair in pairs if len(pair[0]) == size]
    moving = copy.deepcopy(setup.model)  # whose running statistics move
    with torch.no_grad():
        # Networks are built in train mode and have stayed in it.
        train_mode = sum(float(loss_of(moving, x, y)) for x, y in fresh) / len(fresh)
    metrics = {
        "train_mode_loss": train_mode,
        "eval_mode_loss": evaluate(setup.model, fresh)[0],
    }
    return Measurement(metrics, setup.source)
