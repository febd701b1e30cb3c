"""Norms whose statistics are taken per sample over groups of channels and all positions."""

import torch.nn.functional as F
from torch import Tensor

from normlab.errors import NormLabError
from normlab.norms.base import (
    MAPS,
    Norm,
    as_maps,
    check_eps,
    for_kernel,
    from_maps,
    is_channels_last,
    narrow,
    norm_kind,
    one_value,
    wide,
)
from normlab.norms.strided import SetNorm

DEFAULT_GROUPS = 8


def group_norm(
    x: Tensor, groups: int, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """Group norm of maps (N, C, H, W) in their own memory format and dtype."""
    n, c, height, width = x.shape
    last = is_channels_last(x)
    if last and not x.is_cuda:
        rows = wide(x).permute(0, 2, 3, 1).reshape(n, height * width, c)
        y = SetNorm.apply(rows, weight, bias, c // groups, eps)[0]
        return narrow(y.view(n, height, width, c).permute(0, 3, 1, 2), x)
    y = narrow(
        F.group_norm(
            wide(x) if weight is None else for_kernel(x, weight), groups, weight, bias, eps
        ),
        x,
    )
    return y.contiguous(memory_format=MAPS) if last else y


@norm_kind("groupnorm", centred=True, scaled=True, has_shift=True)
class GroupNorm(Norm):
    """Group norm (Wu & He 2018): `num_groups` groups, or as many as give `channels_per_group`.

    NC: over the C / G channels of a group; NCHW: and over H, W; NTC: and over T, so it mixes positions.
    """

    def __init__(
        self,
        num_features: int,
        layout: str,
        eps: float = 1e-5,
        num_groups: int | None = None,
        channels_per_group: int | None = None,
    ):
        super().__init__(num_features, layout)
        if num_groups is not None and channels_per_group is not None:
            raise NormLabError(
                "groupnorm takes num_groups or channels_per_group, not both: leave one of them null."
            )
        if channels_per_group is None:
            name, divisor = "num_groups", DEFAULT_GROUPS if num_groups is None else num_groups
        else:
            name, divisor = "channels_per_group", channels_per_group
        if divisor < 1 or num_features % divisor:
            divisors = ", ".join(
                str(d) for d in range(1, num_features + 1) if num_features % d == 0
            )
            raise NormLabError(
                f"{name}={divisor} does not divide {num_features} channels: choose one of {divisors}."
            )
        self.num_groups = (
            divisor if channels_per_group is None else num_features // channels_per_group
        )
        self.eps = check_eps(eps)
        self.add_affine()

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        maps = as_maps(x, self.layout)
        if maps[0].numel() == self.num_groups:
            raise one_value("groupnorm", "use fewer groups or more channels per group")
        return from_maps(
            group_norm(maps, self.num_groups, self.weight, self.bias, self.eps), self.layout
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, num_groups={self.num_groups}"


@norm_kind("instancenorm", centred=True, scaled=True, has_shift=True, layouts=("NCHW", "NTC"))
class InstanceNorm(Norm):
    """Instance norm (Ulyanov et al. 2016), affine: statistics per sample and channel, over H, W or over T."""

    def __init__(self, num_features: int, layout: str, eps: float = 1e-5):
        super().__init__(num_features, layout)
        self.eps = check_eps(eps)
        self.add_affine()

    def forward(self, x: Tensor) -> Tensor:
        return self.normalize(x, self.weight, self.bias)

    def normalize(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        self.check(x)
        maps = as_maps(x, self.layout)
        if maps.shape[2] * maps.shape[3] == 1:
            raise one_value(
                type(self).__name__.lower(), "use larger images, longer sequences or norm=layernorm"
            )
        return from_maps(group_norm(maps, self.num_features, weight, bias, self.eps), self.layout)


@norm_kind("adain", centred=True, scaled=True, layouts=("NCHW", "NTC"))
class AdaIN(InstanceNorm):
    """Adaptive instance norm (Huang & Belongie 2017): scale and shift (N, C) from outside, 1 and 0 where left out."""

    def __init__(self, num_features: int, layout: str, eps: float = 1e-5):
        super().__init__(num_features, layout, eps)
        del self.weight, self.bias

    def forward(
        self, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None
    ) -> Tensor:
        y = self.normalize(x, None, None)
        if scale is not None:
            y = y * self._per_sample(scale, x, "scale")
        if shift is not None:
            y = y + self._per_sample(shift, x, "shift")
        return narrow(y, x)

    def _per_sample(self, style: Tensor, x: Tensor, name: str) -> Tensor:
        if style.shape != (len(x), self.num_features):
            raise NormLabError(
                f"the {name} of adain has shape {tuple(style.shape)}: pass one of shape {(len(x), self.num_features)}."
            )
        return style[:, None, :] if self.layout == "NTC" else style[:, :, None, None]
