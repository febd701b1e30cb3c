"""Shapes, memory formats and dtypes of a norm's input and output."""

import torch
from torch import Tensor

MAPS = torch.channels_last


def wide(x: Tensor) -> Tensor:
    """`x` in float32 at least."""
    return x.float() if x.dtype.itemsize < 4 else x


def narrow(y: Tensor, x: Tensor) -> Tensor:
    """`y` in the dtype of `x`: autocast gives float32 from norms, and so does mixing dtypes."""
    return y if y.dtype == x.dtype else y.to(x.dtype)


def for_kernel(x: Tensor, parameter: Tensor) -> Tensor:
    """`x` as torch's own kernels take it.

    Those of the CPU mix dtypes; those of CUDA want the input in the dtype of the parameters.
    """
    return x if x.dtype == parameter.dtype or not x.is_cuda else x.to(parameter.dtype)


def as_maps(x: Tensor, layout: str) -> Tensor:
    """`x` of any layout, seen as maps (N, C, H, W) without a copy.

    A sequence (N, T, C) becomes a channels_last map of one row; of (N, C, D, H, W) the last two
    become one, and channels_last_3d is channels_last.
    """
    if layout == "NCHW":
        return x
    if layout == "NTC":
        return x.unsqueeze(1).permute(0, 3, 1, 2)  # (N, C, 1, T)
    if layout == "NCL":
        return x.unsqueeze(3)  # (N, C, L, 1)
    if layout == "NCDHW":
        return x.flatten(3)  # (N, C, D, H W)
    return x[:, :, None, None]


def from_maps(y: Tensor, layout: str, like: Tensor) -> Tensor:
    """The inverse of as_maps, for maps that were made of the shape of `like`."""
    if layout == "NCHW":
        return y
    if layout == "NTC":
        return y.permute(0, 2, 3, 1).squeeze(1)  # (N, T, C)
    if layout == "NCL":
        return y.squeeze(3)
    if layout == "NCDHW":
        return y.reshape(like.shape)
    return y[:, :, 0, 0]


def is_channels_last(x: Tensor) -> bool:
    """Whether maps lie in memory as (N, H, W, C).

    Where both formats fit (C = 1, or maps of one pixel), they do not; nor inside a transform of
    torch.func, where vmap cannot be asked.
    """
    if not torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active():
        return False
    return not x.is_contiguous() and x.is_contiguous(memory_format=MAPS)


def is_dense(x: Tensor) -> bool:
    """Whether maps are contiguous or channels_last, and not empty."""
    return x.numel() > 0 and (x.is_contiguous() or is_channels_last(x))


def as_rows(maps: Tensor, samples: int = 1) -> Tensor:
    """Channels_last maps (N, C, H, W) as (N / samples, samples H W, C), without a copy."""
    n, c, height, width = maps.shape
    return maps.permute(0, 2, 3, 1).reshape(n // samples, samples * height * width, c)


def from_rows(rows: Tensor, like: Tensor) -> Tensor:
    """The inverse of as_rows, for maps of the shape of `like`."""
    n, c, height, width = like.shape
    return rows.view(n, height, width, c).permute(0, 3, 1, 2)
