"""What a BatchNorm in eval mode does to the ranks of activations, of images and of channels."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from normlab.training.evaluations.shift import CHUNK, predictions, whole_split
from normlab.training.running_statistics import batch_norms
from normlab.training.setup import Setup

PART = 8  # the strongest channels are an eighth of all
GRADIENT_IMAGES = 8


@torch.no_grad()
def channel_means(model: nn.Module, layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Before and after `layer`, the mean over positions of each channel: two of shape (N, C)."""
    before: list[Tensor] = []
    after: list[Tensor] = []

    def note(module: nn.Module, inputs: Any, output: Tensor) -> None:
        before.append(inputs[0].flatten(2).mean(2))
        after.append(output.flatten(2).mean(2))

    hook = layer.register_forward_hook(note)
    for chunk in x.split(CHUNK):
        model(chunk)
    hook.remove()
    return torch.cat(before), torch.cat(after)


def order_changes(before: Tensor, after: Tensor) -> float:
    """1 - |rho|, mean over the channels of (N, C): Spearman's correlation of the order of images.

    Without ties. 0 where `after` rises or falls with `before` in each channel.
    """
    a, b = (one.double().argsort(0).argsort(0).double() for one in (before, after))
    a, b = a - a.mean(0), b - b.mean(0)
    rho = (a * b).sum(0) / (a.square().sum(0) * b.square().sum(0)).sqrt()
    return float((1 - rho.abs()).mean())


def strongest(activations: Tensor) -> Tensor:
    """(N, C) -> bool (N, C): the eighth of the channels, one at least, that is largest."""
    count = max(1, activations.shape[1] // PART)
    chosen = activations.topk(count, dim=1).indices
    return torch.zeros_like(activations, dtype=torch.bool).scatter_(1, chosen, True)


def spread(activations: Tensor) -> float:
    """The largest over the median standard deviation of the channels of (N, C)."""
    deviations = activations.double().std(0)
    return float(deviations.max() / deviations.median())


@torch.no_grad()
def accuracy_without(
    model: nn.Module, layer: nn.Module, deleted: Tensor, level: Tensor, x: Tensor, y: Tensor
) -> float:
    """Accuracy where `deleted` channels (N, C) of each image have `level` (C,) behind `layer`."""
    parts = iter(deleted.split(CHUNK))

    def delete(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return torch.where(next(parts)[:, :, None, None], level[:, None, None], output)

    hook = layer.register_forward_hook(delete)
    correct = predictions(model, x) == y
    hook.remove()
    return float(correct.double().mean())


def saliency_changes(model: nn.Module, layer: nn.Module, x: Tensor) -> float:
    """1 - |cosine| of the gradients for x of a channel's mean before and behind `layer`, the mean
    over its channels and the images x (N, C, H, W)."""
    kept: list[tuple[Tensor, Tensor]] = []
    hook = layer.register_forward_hook(
        lambda module, inputs, output: kept.append((inputs[0], output))
    )
    x = x.clone().requires_grad_(True)
    model(x)
    hook.remove()
    total, channels = 0.0, kept[0][0].shape[1]
    for channel in range(channels):
        maps = [torch.autograd.grad(side[:, channel].mean((1, 2)).sum(), x, retain_graph=True)[0]
                for side in kept[0]]  # fmt: skip
        a, b = (one.flatten(1).double() for one in maps)
        cosine = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp_min(1e-30)
        # A channel that an image does not reach has no gradient, on either side.
        reached = a.norm(dim=1) > 0
        total += float((1 - cosine[reached].abs()).mean()) if bool(reached.any()) else 0.0
    return total / channels


def channel_ranks(setup: Setup) -> dict[str, float]:
    """Means over the batch norms of a trained network, of the test images.

    `order_changes`: of images within a channel; `saliency_changes`, of 8 images. `other_channels`:
    of the strongest channels of an image before the norm, the share that is not among the strongest
    behind it.
    `spread_before`, `spread_after`: natural logarithms of `spread`. Each image's strongest channels
    are then set to their mean over all images, behind the norm: `without_after_accuracy` is that
    without the strongest ones behind the norm, `without_before_accuracy` before it,
    `without_random_accuracy` without as many that are drawn; `whole_accuracy` is the network's own.
    """
    model = copy.deepcopy(setup.model).eval()
    x, y = whole_split(setup.data, "test")
    generator = torch.Generator().manual_seed(setup.cfg.seed)
    own = float((predictions(model, x) == y).double().mean())
    rows: dict[str, list[float]] = {"whole_accuracy": [own]}
    for layer in batch_norms(model):
        before, after = channel_means(model, layer, x)
        chosen = {"before": strongest(before), "after": strongest(after)}
        chosen["random"] = strongest(torch.rand(before.shape, generator=generator))
        both = (chosen["before"] & chosen["after"]).sum() / chosen["before"].sum()
        found = {
            "order_changes": order_changes(before, after),
            "saliency_changes": saliency_changes(model, layer, x[:GRADIENT_IMAGES]),
            "other_channels": 1 - float(both),
            "spread_before": float(torch.tensor(spread(before)).log()),
            "spread_after": float(torch.tensor(spread(after)).log()),
        }
        for name, deleted in chosen.items():
            level = after.mean(0)
            found[f"without_{name}_accuracy"] = accuracy_without(model, layer, deleted, level, x, y)
        for name, one in found.items():
            rows.setdefault(name, []).append(one)
    return {name: sum(values) / len(values) for name, values in rows.items()}
