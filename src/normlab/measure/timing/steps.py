"""One training step of a small network with its norms swapped: what a layer's time is worth
inside a model."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.measure.timing.layers import FORMATS, Cell, build
from normlab.models.layers import NormFactory
from normlab.models.plaincnn import PlainCNN
from normlab.models.resnet import ResNet
from normlab.models.transformer import Transformer
from normlab.norms import KINDS, make_norm

VOCABULARY, CLASSES = 256, 10
# A learning rate: the step is done in full, but no network is trained away under the clock.
_NO_CHANGE = 1e-6


def resnet_step(
    kind: str,
    implementation: str,
    batch: int,
    size: int,
    width: int,
    memory_format: str,
    device: str,
    options: Mapping[str, Any] | None = None,
) -> Callable[[], object]:
    """Forward, loss, backward and SGD step of a ResNet-8 on `batch` images of `size` x `size`.

    `options` are those of a norm of ours.
    """
    return _image_step(
        partial(ResNet, depth=8, width=width),
        kind,
        _factory(kind, implementation, device, options),
        (batch, 3, size, size),
        memory_format,
        device,
    )


def plain_step(
    kind: str,
    implementation: str,
    batch: int,
    size: int,
    width: int,
    memory_format: str,
    device: str,
    options: Mapping[str, Any] | None = None,
) -> Callable[[], object]:
    """The same of six convolutions without skips."""
    return _image_step(
        partial(PlainCNN, depth=6, width=width),
        kind,
        _factory(kind, implementation, device, options),
        (batch, 3, size, size),
        memory_format,
        device,
    )


def _image_step(
    network: Callable[..., nn.Module],
    kind: str,
    norm: NormFactory,
    shape: tuple[int, int, int, int],
    memory_format: str,
    device: str,
) -> Callable[[], object]:
    generator = torch.Generator().manual_seed(0)
    # "groupnorm1" is no kind of ours, and has a shift.
    bias = kind in KINDS and not KINDS[kind].has_shift
    model = network(shape[1:], CLASSES, norm, bias, generator)
    x = torch.randn(shape, generator=generator)
    y = torch.randint(CLASSES, shape[:1], generator=generator)
    there = FORMATS[memory_format]
    return training_step(
        model.to(device).to(memory_format=there),  # type: ignore[call-overload]
        x.to(device, memory_format=there),
        y.to(device),
    )


def transformer_step(
    kind: str,
    implementation: str,
    batch: int,
    context: int,
    width: int,
    device: str,
    options: Mapping[str, Any] | None = None,
) -> Callable[[], object]:
    """The same of a causal transformer of two blocks, pre-norm, on `batch` x `context` tokens."""
    generator = torch.Generator().manual_seed(0)
    norm = _factory(kind, implementation, device, options)
    model = Transformer((context,), VOCABULARY, norm, generator, depth=2, width=width)
    ids = torch.randint(VOCABULARY, (batch, context + 1), generator=generator).to(device)
    return training_step(model.to(device), ids[:, :-1].contiguous(), ids[:, 1:].contiguous())


def _factory(
    kind: str, implementation: str, device: str, options: Mapping[str, Any] | None
) -> NormFactory:
    """Norms of one implementation for a model. Not torch.nn's layer norm of maps, which must
    know their size."""

    def norm(num_features: int, layout: str) -> nn.Module:
        # Only channels and layout matter for building: the rest of the shape is left at 1.
        shape = {"NCHW": (1, num_features, 1, 1), "NTC": (1, 1, num_features)}[layout]
        if options:
            return make_norm(kind, num_features, layout, **options).to(device)
        found = build(kind, implementation, Cell(shape, device=device))
        assert found is not None, f"no {implementation} {kind} of {layout}"
        return found

    return norm


def training_step(model: nn.Module, x: Tensor, y: Tensor) -> Callable[[], object]:
    """Forward, cross-entropy, backward and a step of SGD that changes next to nothing."""
    optimizer = torch.optim.SGD(model.parameters(), lr=_NO_CHANGE)

    def step() -> None:
        optimizer.zero_grad()
        logits = model(x)
        F.cross_entropy(logits.flatten(0, -2), y.flatten()).backward()
        optimizer.step()

    return step
