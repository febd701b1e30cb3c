"""Norms whose statistics are taken per sample, over groups of channels and all positions."""

import torch.nn.functional as F
from torch import Tensor

from normlab.errors import NormLabError
from normlab.norms.base import Norm, check_eps, one_value
from normlab.norms.batch_statistics import RunningStatistics
from normlab.norms.ghost import ghost_norm
from normlab.norms.kernels.conditions import kernels_for, transformed, watched
from normlab.norms.kernels.sets import SetNorm, set_norm, set_operations
from normlab.norms.spec import LAYOUTS, MAP_LAYOUTS, norm_kind
from normlab.norms.strided import strided_norm
from normlab.norms.tensors import (
    MAPS,
    as_maps,
    as_rows,
    for_kernel,
    from_maps,
    from_rows,
    is_channels_last,
    narrow,
    wide,
)

DEFAULT_GROUPS = 8


@norm_kind("groupnorm", centred=True, scaled=True, has_shift=True, layouts=tuple(LAYOUTS))
class GroupNorm(Norm):
    """Group normalization: statistics of one sample alone, over the channels of a group.

        y = weight * (x - mean) / sqrt(variance + eps) + bias

    with mean and biased variance over C / num_groups neighbouring channels, over H and W of maps
    and over T of sequences. On (N, T, C) it therefore mixes positions: not for a causal model.
    One group is LayerNorm over (C, H, W), and one channel a group InstanceNorm.

    Shape: as `layout` says, the same out as in.
    Parameters: weight (C,), ones; bias (C,), zeros.

    Source: Wu & He 2018, Group Normalization.

    Args:
        eps: added to the variance.
        num_groups: None for 8, unless `channels_per_group` is given.
        channels_per_group: the same in other words; only one of both may be given.
        affine: False for no gain and no shift.
        bias: False for a gain without a shift.

    Raises:
        NormLabError: groups that do not divide the channels, one value per statistic.
    """

    _has_kernels = True

    def __init__(
        self,
        num_features: int,
        layout: str,
        *,
        eps: float = 1e-5,
        num_groups: int | None = None,
        channels_per_group: int | None = None,
        affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, layout)
        self.num_groups = _number_of_groups(num_features, num_groups, channels_per_group)
        self.eps = check_eps(eps)
        self.add_affine(affine, bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.check(x):
            return self.aside(x)
        maps = as_maps(x, self.layout)
        if maps.shape[1:].numel() == self.num_groups:
            raise one_value("groupnorm", "use fewer groups or more channels per group")
        y = group_norm(maps, self.num_groups, self.weight, self.bias, self.eps)
        return from_maps(y, self.layout, x)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, num_groups={self.num_groups}"


@norm_kind(
    "instancenorm",
    centred=True,
    scaled=True,
    has_shift=True,
    layouts=(*MAP_LAYOUTS, "NTC"),
)
class InstanceNorm(RunningStatistics):
    """Instance normalization: statistics of one channel of one sample.

        y = weight * (x - mean) / sqrt(variance + eps) + bias

    with mean and biased variance over H and W of maps or over T of sequences; on (N, T, C) it
    therefore mixes positions. With gain and shift, which `nn.InstanceNorm2d` has only if asked.

    With `track_running_stats`, train mode also updates running statistics, running += momentum *
    (average over samples - running), with the unbiased variance, and eval mode normalizes with
    them. torch's layer does the same, but never counts in num_batches_tracked.

    Shape: as `layout` says, or one sample without its first dimension where channels come first;
    the same out as in.
    Parameters: weight (C,), ones; bias (C,), zeros.
    Buffers: with `track_running_stats`, running_mean, running_var and num_batches_tracked.

    Source: Ulyanov, Vedaldi & Lempitsky 2016, Instance Normalization: The Missing Ingredient for
    Fast Stylization.

    Args:
        eps: added to the variance.
        affine, bias: as in GroupNorm.
        track_running_stats: keep running statistics, and use them in eval mode.
        momentum: weight of the new batch in them; None: cumulative average.

    Raises:
        NormLabError: one value per statistic.
    """

    _has_kernels = True

    def __init__(
        self,
        num_features: int,
        layout: str,
        *,
        eps: float = 1e-5,
        affine: bool = True,
        bias: bool = True,
        track_running_stats: bool = False,
        momentum: float | None = 0.1,
    ) -> None:
        super().__init__(
            num_features,
            layout,
            eps=eps,
            momentum=momentum,
            track_running_stats=track_running_stats,
        )
        self.add_affine(affine, bias)

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(x, Tensor) and self._is_one_sample(x):  # a tracer has no shapes
            return self.forward(x.unsqueeze(0)).squeeze(0)
        return self.normalize(x, self.weight, self.bias)

    def _is_one_sample(self, x: Tensor) -> bool:
        """Whether `x` is (C, *), which torch's instance norms take as well."""
        one_fewer = self._is_over_maps and x.ndim == self._ndim - 1
        return one_fewer and x.shape[0] == self.num_features

    def normalize(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """The norm of `x` with this gain and this shift, (C,) each, or None for 1 and 0."""
        if self.check(x):
            return self.aside(x)
        maps = as_maps(x, self.layout)
        if self.track_running_stats and not self.training:
            y = narrow(self.by_running_statistics(maps), x)
        elif maps.shape[2] * maps.shape[3] == 1:
            raise one_value(
                type(self).__name__.lower(),
                "use larger images, longer sequences or norm=layernorm",
            )
        elif self.track_running_stats:
            records = self.records(maps)
            y, statistics = ghost_norm(maps, 1, weight, bias, self.eps)
            if records:
                self.update_running(statistics)
        else:
            y = group_norm(maps, self.num_features, weight, bias, self.eps)
        return from_maps(y, self.layout, x)


@norm_kind("adain", centred=True, scaled=True, layouts=(*MAP_LAYOUTS, "NTC"))
class AdaIN(InstanceNorm):
    """Adaptive instance normalization: gain and shift come from outside, for each sample.

        y = scale * (x - mean) / sqrt(variance + eps) + shift

    with the statistics of InstanceNorm. In the paper scale and shift are a style image's
    deviation and mean.

    Shape: x as `layout` says, scale and shift (N, C), 1 and 0 where
    left out; the output as x. No parameters.

    Source: Huang & Belongie 2017, Arbitrary Style Transfer in Real-time with Adaptive Instance
    Normalization.

    Args:
        eps: added to the variance.

    Raises:
        NormLabError: one value per statistic; a scale or shift of another shape.
    """

    def __init__(self, num_features: int, layout: str, *, eps: float = 1e-5) -> None:
        super().__init__(num_features, layout, eps=eps, affine=False)

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
        """A (N, C) tensor, shaped to broadcast against `x`."""
        wanted = (x.shape[0], self.num_features)
        if style.shape != wanted:
            raise NormLabError(
                f"the {name} of adain has shape {tuple(style.shape)}: pass one of shape {wanted}."
            )
        return (
            style[:, None, :] if self.layout == "NTC" else style.view(*wanted, *[1] * (x.ndim - 2))
        )


def group_norm(
    x: Tensor, groups: int, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """Group norm of maps (N, C, H, W), in their own memory format and dtype.

    weight and bias are (C,), or None for 1 and 0.
    """
    norm = SetNorm(1, x.shape[1] // groups, eps)
    if transformed():  # of torch's group norm, forward mode takes no channels_last
        return set_operations(norm, x, weight, bias)[0]
    last = is_channels_last(x)
    if last and not x.is_cuda:
        if kernels := kernels_for(x, weight, bias):
            return set_norm(kernels, norm, x, weight, bias)[0]
        if watched():
            return set_operations(norm, x, weight, bias)[0]
        rows, _, _ = strided_norm(as_rows(wide(x)), weight, bias, block=norm.group, eps=eps)
        return narrow(from_rows(rows, x), x)
    h = wide(x) if weight is None else for_kernel(x, weight)
    y = narrow(F.group_norm(h, groups, weight, bias, eps), x)
    return y.contiguous(memory_format=MAPS) if last else y


def _number_of_groups(channels: int, num_groups: int | None, channels_per_group: int | None) -> int:
    """Raises NormLabError where both are given, and where groups do not divide the channels."""
    if num_groups is not None and channels_per_group is not None:
        raise NormLabError(
            "groupnorm takes num_groups or channels_per_group, not both: leave one of them null."
        )
    if channels_per_group is not None:
        _check_divides("channels_per_group", channels_per_group, channels)
        return channels // channels_per_group
    groups = DEFAULT_GROUPS if num_groups is None else num_groups
    _check_divides("num_groups", groups, channels)
    return groups


def _check_divides(name: str, divisor: int, channels: int) -> None:
    if divisor < 1 or channels % divisor:
        divisors = ", ".join(str(d) for d in range(1, channels + 1) if channels % d == 0)
        raise NormLabError(
            f"{name}={divisor} does not divide {channels} channels: choose one of {divisors}."
        )
