"""The residual branches of a transformer, with every placement of the norms around them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.models.attention import Visibility


@dataclass(frozen=True)
class Slots:
    """Where norms stand around a branch, and DeepNorm's two halves."""

    before: bool = False  # the branch
    after: bool = False  # it
    total: bool = False  # after the residual sum
    alpha: bool = False  # scale the residual
    beta: bool = False  # scale the initial weights

    @property
    def last(self) -> bool:
        """Whether the stream is left without a norm, so that one stands before the head."""
        return not self.total


PLACEMENTS = {
    "pre": Slots(before=True),  # Xiong et al. 2020
    "post": Slots(total=True),  # Vaswani et al. 2017
    "sandwich": Slots(before=True, after=True),  # Ding et al. 2021; Peri-LN of Kim et al. 2025
    "deepnorm": Slots(total=True, alpha=True, beta=True),  # Wang et al. 2022
    "deepnorm_alpha": Slots(total=True, alpha=True),
    "deepnorm_beta": Slots(total=True, beta=True),
}


class MLPBranch(nn.Module):
    """Linear, GELU, linear. Shape: (N, T, C) -> (N, T, C)."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, ratio * width, bias=False)
        self.out = nn.Linear(ratio * width, width, bias=False)

    def forward(self, x: Tensor, visible: Visibility) -> Tensor:
        y: Tensor = self.out(F.gelu(self.up(x)))
        return y


class Residual(nn.Module):
    """total(alpha x + after(branch(scale before(x)))).

    With the identity for a norm that `slots` leaves out. Shape: (N, T, C) -> (N, T, C).
    """

    input_norms: ClassVar = ("before",)  # those that stand before weight matrices

    def __init__(
        self,
        branch: nn.Module,
        slots: Slots,
        norm: Callable[[], nn.Module],
        *,
        alpha: float,
        scale: float,
    ) -> None:
        super().__init__()
        self.before = norm() if slots.before else None
        self.branch = branch
        self.after = norm() if slots.after else None
        self.total = norm() if slots.total else None
        self.alpha = alpha
        self.scale = scale

    def forward(self, x: Tensor, visible: Visibility) -> Tensor:
        y = x if self.before is None else visible.normalise(self.before, x)
        y = self.branch(y if self.scale == 1 else y * self.scale, visible)
        if self.after is not None:
            y = visible.normalise(self.after, y)
        # y + alpha x, in one kernel.
        x = torch.add(y, x, alpha=self.alpha)
        return x if self.total is None else visible.normalise(self.total, x)


class Block(nn.Module):
    """Attention, then an MLP, each as a residual branch with its norms.

    Shape: (N, T, C) -> (N, T, C).
    """

    def __init__(self, attention: Residual, mlp: Residual) -> None:
        super().__init__()
        self.attention = attention
        self.mlp = mlp

    def forward(self, x: Tensor, visible: Visibility) -> Tensor:
        y: Tensor = self.mlp(self.attention(x, visible), visible)
        return y
