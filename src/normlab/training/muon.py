"""Muon for the matrices of hidden layers, with AdamW for everything else, as one optimizer."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from normlab.config.schema import MuonConfig
from normlab.errors import NormLabError


class MuonWithAdamW(torch.optim.Optimizer):
    """Momentum, orthogonalized (Jordan et al. 2024, "Muon: An optimizer for hidden layers ...").

    For a hidden matrix W (A, B) with gradient G, momentum m, rate r and weight decay d:

        M = m M + G
        U = m M + G with Nesterov's momentum, else M
        X = U / |U|, then five times X = 3.4445 X - 4.7750 (X X') X + 2.0315 (X X')^2 X
        W = (1 - r d) W - r 0.2 sqrt(max(A, B)) X

    The five steps of Newton and Schulz, in bfloat16, bring all singular values of X near 1,
    whatever those of U. An orthogonal matrix has a root mean square of 1 / sqrt(max(A, B)): times
    0.2 sqrt(max(A, B)) it is that of an update of AdamW (Liu et al. 2025, "Muon is Scalable for LLM
    Training"). So one learning rate and one weight decay serve both.

    Embeddings, the head, convolutions, biases and what norms learn are trained by AdamW
    (Loshchilov & Hutter 2019).

    Args:
        hidden: matrices (A, B).
        others: parameter groups with their `weight_decay`, for AdamW.
    """

    def __init__(
        self, hidden: list[nn.Parameter], others: list[dict[str, Any]], cfg: MuonConfig
    ) -> None:
        self._muon = torch.optim.Muon(
            hidden,
            lr=cfg.lr,
            weight_decay=cfg.weight_decay,
            momentum=cfg.momentum,
            nesterov=cfg.nesterov,
            adjust_lr_fn="match_rms_adamw",
        )
        betas = (cfg.beta1, cfg.beta2)
        self._adamw = torch.optim.AdamW(others, lr=cfg.lr, betas=betas, fused=True)
        super().__init__([*self._muon.param_groups, *self._adamw.param_groups], {})
        self._share()

    def _share(self) -> None:
        """Groups and state are these: a rate that is set, a state that is loaded, are of both."""
        split = len(self._muon.param_groups)
        self._muon.param_groups = self.param_groups[:split]
        self._adamw.param_groups = self.param_groups[split:]
        self._muon.state = self._adamw.state = self.state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Raises ValueError for a state of other groups, as every optimizer does."""
        super().load_state_dict(state_dict)
        self._share()

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of both, by the gradients that are there; the loss of `closure`, if any."""
        loss = None if closure is None else closure()
        self._muon.step()
        self._adamw.step()
        return loss


def hidden_matrices(model: nn.Module, matrices: list[nn.Parameter]) -> list[nn.Parameter]:
    """Those of `matrices` that Muon is for: two-dimensional, and not of the head.

    Raises:
        NormLabError: there is none, as in a network of convolutions.
    """
    head = getattr(model, "head", None)
    last = {id(parameter) for parameter in head.parameters()} if head is not None else set()
    hidden = [one for one in matrices if one.ndim == 2 and id(one) not in last]
    if not hidden:
        raise NormLabError(
            "optim=muon is for the matrices of hidden linear layers, and this model has none: "
            "choose model=transformer, rnn or mlp, or optim=adamw."
        )
    return hidden
