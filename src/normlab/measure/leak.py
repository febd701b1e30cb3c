"""What a norm shows a causal language model: its loss in train mode and in eval mode, on sequences it has not seen.

Torch-free at import.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

VOCABULARY, LENGTH = 8, 16  # of the uniform tokens
SEQUENCES = 2048


class UniformTokens:
    """Every token drawn anew: no model that cannot see a token has less than ln 8 nats of loss."""

    name, fingerprint = "uniform tokens", ""
    input_shape, num_outputs = (LENGTH,), VOCABULARY

    def __init__(self, batch_size: int, seed: int) -> None:
        import torch

        self.batch_size = batch_size
        self.generator = torch.Generator().manual_seed(seed)

    def batch(self, step: int) -> "tuple[Tensor, Tensor]":
        """x and y, int64 (N, T)."""
        import torch

        ids = torch.randint(VOCABULARY, (self.batch_size, LENGTH + 1), generator=self.generator)
        return ids[:, :-1], ids[:, 1:]

    def eval_batches(self, split: str) -> "Iterator[tuple[Tensor, Tensor]]":
        """Of new sequences, whatever the split."""
        return (self.batch(0) for _ in range(SEQUENCES // self.batch_size))


def losses(overrides: Sequence[str], seed: int, uniform: bool) -> dict[str, Any]:
    """Trains what `python train.py <overrides>` describes, for a causal model, on its text or on uniform tokens.

    Uniform sequences are half as long or less, so that there are twice the steps. Any norm is let in.

    Returns:
        train_mode_loss: with the statistics of batches as in training, without a gradient; eval_mode_loss: on the same
        sequences, which are new ones or the validation split; data, for the record.
    """
    import copy

    import torch

    from normlab.config.schema import compose
    from normlab.data import load_data
    from normlab.models import build_model
    from normlab.training.optim import build_optimizer, learning_rate
    from normlab.training.step import evaluate, loss_of, train_steps

    cfg = compose([*overrides, "allow_noncausal=true", f"seed={seed}"])
    size, steps = cfg.data.batch_size, cfg.trainer.max_steps * (2 if uniform else 1)
    data: Any = UniformTokens(size, seed) if uniform else load_data(cfg.data, seed)
    model = build_model(cfg, "text", data.input_shape, data.num_outputs).train()
    train_steps(
        model,
        build_optimizer(cfg.optim, model),
        learning_rate(cfg.optim, steps),
        data.batch,
        0,
        steps,
    )
    rows = [zip(x.split(size), y.split(size), strict=True) for x, y in data.eval_batches("val")]
    fresh = [(x, y) for row in rows for x, y in row if len(x) == size]
    copied = copy.deepcopy(model)  # whose running statistics move
    with torch.no_grad():
        train_mode = sum(float(loss_of(copied, x, y)) for x, y in fresh) / len(fresh)
    return {
        "train_mode_loss": train_mode,
        "eval_mode_loss": evaluate(model, iter(fresh))[0],
        "data": {"name": data.name, "fingerprint": data.fingerprint},
    }
