"""Networks by name, built without weights: torchvision:resnet18, timm:vit_tiny_patch16_224, transformers:bert."""

import difflib
import importlib
import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from normlab.errors import NormLabError
from normlab.norms.registry import module_file

FORMS = "torchvision:NAME, timm:NAME, transformers:MODEL_TYPE or my_package.my_module:FUNCTION"
SHOWN = (  # small ones of many families: those that the tests convert, and that `normlab convert` shows unless told
    *("torchvision:resnet18", "torchvision:mobilenet_v3_small", "torchvision:densenet121"),
    *("torchvision:efficientnet_b0", "torchvision:shufflenet_v2_x0_5", "torchvision:convnext_tiny"),
    *("torchvision:swin_t", "timm:resnet10t", "timm:regnetx_002", "timm:mobilenetv3_small_050"),
    *("timm:convnext_atto", "timm:vit_tiny_patch16_224", "transformers:bert", "transformers:gpt2"),
    *("transformers:llama", "transformers:t5", "transformers:gemma2", "transformers:whisper"),
    *("transformers:wav2vec2", "transformers:falcon_mamba"),
)


def build_named(name: str) -> nn.Module:
    """The network called `name`, in train mode, its weights drawn at random; nothing is downloaded.

    torchvision and timm give their networks in full size, `transformers:` a tiny one of that type. Anything else is
    a function that needs no arguments in a module on the import path or in the working folder.

    Raises:
        NormLabError: a name that no library knows, a library that is not installed, a function that makes no module.
    """
    library, _, own = name.partition(":")
    if not own:
        raise NormLabError(f"unknown model {name!r}: write {FORMS}.")
    builders = {"torchvision": _torchvision, "timm": _timm, "transformers": _transformers}
    model = builders[library](own) if library in builders else _function(library, own)
    return model.train()


def sample_inputs(name: str, model: Any, samples: int = 2) -> Any:
    """Random input of the network `name`: a tensor, or keywords of its call. None for a function's model."""
    library, _, _ = name.partition(":")
    if library == "transformers":
        from normlab.tools.architectures import example

        inputs = example(model)
        return {key: value.repeat(samples, *[1] * (value.dim() - 1))[:samples] if isinstance(value, torch.Tensor)
                else value for key, value in inputs.items()}  # fmt: skip
    if library == "timm":
        cfg = model.pretrained_cfg
        size = cfg["input_size"][1] if cfg.get("fixed_input_size") else 64
    elif library == "torchvision":
        size = getattr(model, "image_size", 64)
    else:
        return None
    return torch.randn(samples, 3, size, size)


def _torchvision(name: str) -> nn.Module:
    import torchvision.models as zoo

    if name not in zoo.list_models():
        raise _unknown(f"torchvision:{name}", zoo.list_models())
    accepted = inspect.signature(zoo.get_model_builder(name)).parameters
    options: dict[str, Any] = {"weights": None}
    if "weights_backbone" in accepted:
        options["weights_backbone"] = None
    if name in ("googlenet", "inception_v3"):
        options["init_weights"] = False  # by scipy, for half a minute
    return zoo.get_model(name, **options)


def _timm(name: str) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise NormLabError(
            f"timm:{name} is built by timm: pip install 'normlab[models]'."
        ) from error
    known = timm.list_models(
        include_tags="." in name
    )  # a tag names weights, and sometimes the input's size with them
    if name not in known:
        raise _unknown(f"timm:{name}", known)
    return timm.create_model(name, pretrained=False)


def _transformers(name: str) -> nn.Module:
    from normlab.tools.architectures import build

    try:
        return build(name)
    except ValueError as error:
        if isinstance(error, NormLabError):
            raise
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

        if name in CONFIG_MAPPING_NAMES:
            raise NormLabError(f"transformers:{name} cannot be built tiny: {error}") from None
        raise _unknown(f"transformers:{name}", CONFIG_MAPPING_NAMES) from None


def _function(module: str, name: str) -> nn.Module:
    module_file(module)
    function = getattr(importlib.import_module(module), name, None)
    if not callable(function):
        raise NormLabError(f"module {module!r} has no function {name!r}: write {FORMS}.")
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError) as error:
        raise NormLabError(
            f"{module}:{name} needs arguments ({error}): name a function that needs none."
        ) from None
    model = function()
    if not isinstance(model, nn.Module):
        raise NormLabError(
            f"{module}:{name} makes a {type(model).__name__}: name a function that makes an nn.Module."
        )
    return model


def _unknown(name: str, known: Iterable[str]) -> NormLabError:
    library, _, own = name.partition(":")
    near = difflib.get_close_matches(own, list(known), 6, 0.4) or sorted(known)[:6]
    return NormLabError(f"unknown model {name!r}: {library} has, for example, {', '.join(near)}.")
