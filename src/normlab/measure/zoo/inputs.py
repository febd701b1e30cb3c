"""What a network of the zoo is called with: the first of several random inputs that it takes."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from normlab.errors import NormLabError
from normlab.tools.forward_pass import call, error_in_words, tensors_in
from normlab.tools.tiny_transformers import TINY, tiny_inputs

SAMPLES = 2
_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def taken_input(name: str, model: nn.Module) -> Any:
    """A random input with which `model`, in eval mode, gives a tensor. Its seeds are fixed.

    Raises:
        NormLabError: it takes none of those that are known; with what the last one raised.
    """
    reason = "nothing is known that it takes"
    for make in _candidates(name, model):
        torch.manual_seed(1)
        try:
            batch = make()
            with torch.no_grad():
                output = list(tensors_in(call(model, batch)))
        except Exception as error:  # whatever other people's networks raise
            reason = error_in_words(error)
            continue
        if output:
            return batch
    raise NormLabError(f"it takes none of the inputs that were tried: {reason}")


def _candidates(name: str, model: Any) -> Iterator[Callable[[], Any]]:
    library, _, own = name.partition(":")
    if library == "transformers":
        yield from _of_transformers(model)
        return
    cfg = getattr(model, "pretrained_cfg", {})
    full = cfg["input_size"][1] if library == "timm" else getattr(model, "image_size", 224)
    if hasattr(model, "roi_heads") or hasattr(model, "anchor_generator"):
        yield _detection
        return
    if own.startswith("raft"):
        yield _pair
        return
    if not cfg.get("fixed_input_size"):
        yield partial(_images, 64)
        yield partial(_images, 128)
    yield partial(_images, full)
    # Videos: of few frames, then as they are by default.
    for frames, size in ((8, 64), (16, 112), (16, 224)):
        yield partial(torch.randn, SAMPLES, 3, frames, size, size)


def _images(size: int, channels: int = 3) -> Tensor:
    return torch.randn(SAMPLES, channels, size, size)


def _detection() -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Images with a box each, and its class, mask and points, as the detectors train on."""
    images = [torch.rand(3, 128, 128) for _ in range(SAMPLES)]
    target = {
        "boxes": torch.tensor([[8.0, 8.0, 100.0, 100.0]]),
        "labels": torch.tensor([1]),
        "masks": torch.ones(1, 128, 128, dtype=torch.uint8),
        "keypoints": torch.tensor([[[50.0, 50.0, 1.0]] * 17]),
    }
    return images, [target] * SAMPLES


def _pair() -> tuple[Tensor, Tensor]:
    """Two images of a scene that moves."""
    return _images(128), _images(128)


def _of_transformers(model: Any) -> Iterator[Callable[[], Any]]:
    yield partial(tiny_inputs, model)
    main = model.main_input_name
    ids = torch.randint(8, TINY["vocab_size"], (SAMPLES, 7))
    needed = _required(model, ids)
    if "grid_thw" in needed:
        yield partial(dict, needed)
        return
    others: list[dict[str, Any]] = [needed, {**needed, "decoder_input_ids": ids[:, :5]}]
    if main != "input_ids":
        others.append({**needed, "input_ids": ids})
    else:
        for other in others:
            yield partial(dict, other, input_ids=ids)
    for make in _of_name(main, model.config):
        for other in others:
            yield partial(_with, main, make, other)
    for name in ("pixel_values", "input_features", "input_values"):
        for make in _of_name(name, model.config):
            yield partial(_with, name, make, {**needed, "input_ids": ids})


def _with(name: str, make: Callable[[], Tensor], others: Mapping[str, Any]) -> dict[str, Any]:
    return {**others, name: make()}


def _required(model: nn.Module, ids: Tensor) -> dict[str, Any]:
    """What a forward pass cannot go without, beside its main input, as far as its name says."""
    found: dict[str, Any] = {}
    patches = _patches(model)
    for name, parameter in inspect.signature(model.forward).parameters.items():
        if parameter.default is not parameter.empty or parameter.kind in _REST:
            continue
        if name.endswith("input_ids"):
            found[name] = ids
        elif name.endswith(("mask", "padding")):
            found[name] = torch.ones_like(ids)
        elif name == "grid_thw":
            found |= {name: torch.tensor([[1, 8, 8]])}
        elif name == "merge_sizes":
            found[name] = torch.tensor([2])
        elif name in ("pixel_values", "hidden_states"):
            found[name] = patches
    return found


def _patches(model: Any) -> Tensor:
    """Of one image of 8 × 8 patches, as vision towers with a grid of their own take them."""
    config = model.config
    side = _number([config], ("patch_size",), 16)
    values = _number([config], ("in_channels", "num_channels", "in_chans"), 3) * side * side
    return torch.randn(64, values * _number([config], ("temporal_patch_size",), 1))


def _of_name(name: str, config: Any) -> Iterator[Callable[[], Tensor]]:
    """Makers of inputs that are called `name`: images, videos, waves, spectrograms, series."""
    parts = [config, *(value for value in vars(config).values() if hasattr(value, "to_dict"))]
    shapes: list[tuple[int, ...]] = []
    if "pixel_values" in name:
        size = _number(parts, ("image_size", "img_size"), 64)
        channels = _number(parts, ("num_channels", "in_channels", "in_chans"), 3)
        frames = _number(parts, ("num_frames", "frames"), 4)
        shapes = [(channels, side, side) for side in dict.fromkeys((size, 64, 224))]
        shapes += [(frames, channels, size, size), (2, channels, 64, 64)]
    elif name in ("input_values", "audio_values", "waveform"):
        frames = _number(parts, ("max_length",), 64)
        shapes = [(5760,), (1, 5760), (frames, _number(parts, ("num_mel_bins",), 128))]
    elif name in ("input_features", "spectrogram", "audio_features"):
        bins = _number(parts, ("input_dim", "num_mel_bins", "n_mels", "feature_size"), 80)
        length = 2 * _number(parts, ("max_source_positions",), 32)
        shapes = [(bins, length), (64, bins), (1, 64, bins)]
    elif name in ("past_values", "inputs"):
        length = _number(parts, ("context_length", "prediction_length"), 64)
        series = _number(parts, ("num_input_channels", "input_size", "d_model"), 1)
        shapes = [(length, series), (length,)]
    for shape in shapes:
        yield partial(torch.randn, SAMPLES, *shape)


def _number(parts: list[Any], names: tuple[str, ...], default: int) -> int:
    """The first whole number of one of the `names` in the parts of a configuration."""
    for part in parts:
        for name in names:
            value = getattr(part, name, None)
            value = value[0] if isinstance(value, list | tuple) and value else value
            if isinstance(value, int):
                return value
    return default


def doubled(batch: Any) -> Any:
    """The same input with floating point numbers in float64."""
    if isinstance(batch, Tensor):
        return batch.double() if batch.is_floating_point() else batch
    if isinstance(batch, Mapping):
        return {name: doubled(value) for name, value in batch.items()}
    if isinstance(batch, tuple | list):
        return type(batch)(doubled(value) for value in batch)
    return batch
