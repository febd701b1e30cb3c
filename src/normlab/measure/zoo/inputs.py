"""What a network of the zoo is called with: the first of several random inputs that it takes."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from normlab.errors import NormLabError
from normlab.tools.forward_pass import call, error_in_words, tensors_in
from normlab.tools.tiny_transformers import TINY, tiny_inputs

SAMPLES = 2


def taken_input(name: str, model: nn.Module) -> Any:
    """A random input with which `model`, in eval mode, gives a tensor. Its seeds are fixed.

    Raises:
        NormLabError: it takes none of those that are known; with what the first one raised.
    """
    reason = "nothing is known that it takes"
    tried = False
    for make in _candidates(name, model):
        torch.manual_seed(1)
        try:
            batch = make()
            with torch.no_grad():
                output = list(tensors_in(call(model, batch)))
        except Exception as error:  # whatever other people's networks raise
            reason = reason if tried else error_in_words(error)
            tried = True
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
        yield lambda: (torch.randn(SAMPLES, 3, 128, 128), torch.randn(SAMPLES, 3, 128, 128))
        return
    if not cfg.get("fixed_input_size"):
        yield lambda: _images(64)
        yield lambda: _images(128)
    yield lambda: _images(full)
    # Videos: of few frames, then as they are by default.
    for frames, size in ((8, 64), (16, 112), (16, 224)):
        yield lambda frames=frames, size=size: torch.randn(SAMPLES, 3, frames, size, size)


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


def _of_transformers(model: Any) -> Iterator[Callable[[], Any]]:
    yield lambda: tiny_inputs(model)
    main = model.main_input_name
    ids = {"input_ids": torch.randint(8, TINY["vocab_size"], (SAMPLES, 7))}
    decoder = {"decoder_input_ids": ids["input_ids"][:, :5]}
    yield lambda: {**ids, "attention_mask": torch.ones(SAMPLES, 7, dtype=torch.long)}
    yield lambda: {**ids, **decoder}
    for make in _of_names(main, model.config):
        yield lambda make=make: {main: make()}
        yield lambda make=make: {main: make(), **decoder}
        if main != "input_ids":
            yield lambda make=make: {main: make(), **ids}
    for image in _of_names("pixel_values", model.config):
        yield lambda image=image: {**ids, "pixel_values": image()}
    for sound in _of_names("input_features", model.config):
        yield lambda sound=sound: {**ids, "input_features": sound()}


def _of_names(name: str, config: Any) -> Iterator[Callable[[], Tensor]]:
    """Makers of inputs that are called `name`: images, videos, waves, spectrograms, series."""
    parts = [config, *(value for value in vars(config).values() if hasattr(value, "to_dict"))]
    size = _number(parts, ("image_size", "img_size"), 64)
    channels = _number(parts, ("num_channels", "in_channels", "in_chans"), 3)
    if "pixel_values" in name:
        frames = _number(parts, ("num_frames", "frames"), 4)
        for side in dict.fromkeys((size, 64, 224)):
            yield lambda side=side: _images(side, channels)
        yield lambda: torch.randn(SAMPLES, frames, channels, size, size)
    elif name in ("input_values", "audio_values", "waveform"):
        yield lambda: torch.randn(SAMPLES, 4000)
        yield lambda: torch.randn(SAMPLES, 1, 4096)
        frames = _number(parts, ("max_length",), 64)
        yield lambda: torch.randn(SAMPLES, frames, _number(parts, ("num_mel_bins",), 128))
    elif name in ("input_features", "spectrogram", "audio_features"):
        bins = _number(parts, ("num_mel_bins", "n_mels", "feature_size", "input_dim"), 80)
        length = 2 * _number(parts, ("max_source_positions",), 32)
        yield lambda: torch.randn(SAMPLES, bins, length)
        yield lambda: torch.randn(SAMPLES, 64, bins)
        yield lambda: torch.randn(SAMPLES, 1, 64, bins)
    elif name in ("past_values", "inputs"):
        length = _number(parts, ("context_length", "prediction_length"), 64)
        series = _number(parts, ("num_input_channels", "input_size", "d_model"), 1)
        yield lambda: torch.randn(SAMPLES, length, series)
        yield lambda: torch.randn(SAMPLES, length)


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
