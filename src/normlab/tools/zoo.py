"""Networks by name, built without weights: torchvision:resnet18, transformers:bert, or a function.

Names of all forms: FORMS.
"""

import difflib
import importlib
import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from normlab.errors import NormLabError
from normlab.norms.registry import module_file
from normlab.tools.tiny_transformers import build_tiny, tiny_inputs

FORMS = "torchvision:NAME, timm:NAME, transformers:MODEL_TYPE or my_package.my_module:FUNCTION"
# Small ones of many families: those that the tests convert, and `normlab convert` unless told.
SHOWN = (
    "torchvision:resnet18",
    "torchvision:mobilenet_v3_small",
    "torchvision:densenet121",
    "torchvision:efficientnet_b0",
    "torchvision:shufflenet_v2_x0_5",
    "torchvision:convnext_tiny",
    "torchvision:swin_t",
    "timm:resnet10t",
    "timm:regnetx_002",
    "timm:mobilenetv3_small_050",
    "timm:convnext_atto",
    "timm:vit_tiny_patch16_224",
    "transformers:bert",
    "transformers:gpt2",
    "transformers:llama",
    "transformers:t5",
    "transformers:gemma2",
    "transformers:whisper",
    "transformers:wav2vec2",
    "transformers:falcon_mamba",
)


def build_named(name: str) -> nn.Module:
    """The network called `name`, in train mode, its weights drawn at random; nothing is downloaded.

    torchvision and timm give their networks in full size, `transformers:` a tiny one of that type.
    Anything else is a function that needs no arguments, in a module on the import path or in the
    working folder.

    Raises:
        NormLabError: a name that no library knows, a library that is not installed, a function that
            makes no module.
    """
    library, _, own = name.partition(":")
    if not own:
        raise NormLabError(f"unknown model {name!r}: write {FORMS}.")
    import normlab.models.torchvision_operators  # noqa: F401  (before anything imports torchvision)

    builders = {"torchvision": _torchvision, "timm": _timm, "transformers": _transformers}
    model = builders[library](own) if library in builders else _by_function(library, own)
    return model.train()


def sample_inputs(name: str, model: Any, samples: int = 2) -> Any:
    """Random input of the network `name`: a tensor, or keywords of its call.

    None for a network that a function makes.
    """
    library, _, _ = name.partition(":")
    # Tiny inputs have 2 samples, and are repeated to as many as are asked for.
    if library == "transformers":
        inputs = tiny_inputs(model)
        return {key: _with_length(value, samples) for key, value in inputs.items()}
    if library == "timm":
        cfg = model.pretrained_cfg
        size = cfg["input_size"][1] if cfg.get("fixed_input_size") else 64
    elif library == "torchvision":
        # Vision transformers of torchvision keep the size that their positions are made for.
        size = getattr(model, "image_size", 64)
    else:
        return None
    return torch.randn(samples, 3, size, size)


def _with_length(value: Any, samples: int) -> Any:
    """A tensor, repeated and cut to `samples` samples; anything else as it is."""
    if not isinstance(value, Tensor):
        return value
    return value.repeat(samples, *[1] * (value.dim() - 1))[:samples]


def _torchvision(name: str) -> nn.Module:
    from torchvision import models

    if name not in models.list_models():
        raise _unknown(f"torchvision:{name}", models.list_models())
    accepted = inspect.signature(models.get_model_builder(name)).parameters
    options: dict[str, Any] = {"weights": None}
    # Detection and segmentation models download a trained backbone by default.
    if "weights_backbone" in accepted:
        options["weights_backbone"] = None
    if name in ("googlenet", "inception_v3"):
        options["init_weights"] = False  # by scipy, for half a minute
    model: nn.Module = models.get_model(name, **options)
    return model


def _timm(name: str) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise NormLabError(
            f"timm:{name} is built by timm: pip install 'normlab[models]'."
        ) from error
    # A tag names weights, and sometimes the input's size with them.
    known = timm.list_models(include_tags="." in name)
    if name not in known:
        raise _unknown(f"timm:{name}", known)
    model: nn.Module = timm.create_model(name, pretrained=False)
    return model


def _transformers(name: str) -> nn.Module:
    try:
        return build_tiny(name)
    # It is a ValueError, too, and says already what to install.
    except NormLabError:
        raise
    except ValueError as error:
        from transformers.models.auto import configuration_auto

        known = configuration_auto.CONFIG_MAPPING_NAMES  # type: ignore[attr-defined]
        if name in known:
            raise NormLabError(f"transformers:{name} cannot be built tiny: {error}") from None
        raise _unknown(f"transformers:{name}", known) from None


def _by_function(module: str, name: str) -> nn.Module:
    """What the function `name` of `module` makes."""
    # Puts the working folder on the import path, and says in a sentence what is not on it.
    module_file(module)
    function = getattr(importlib.import_module(module), name, None)
    if not callable(function):
        raise NormLabError(f"module {module!r} has no function {name!r}: write {FORMS}.")
    try:
        # Bound and not called: a TypeError from inside the function is no missing argument.
        inspect.signature(function).bind()
    except (TypeError, ValueError) as error:
        raise NormLabError(
            f"{module}:{name} needs arguments ({error}): name a function that needs none."
        ) from None
    model = function()
    if not isinstance(model, nn.Module):
        raise NormLabError(
            f"{module}:{name} makes a {type(model).__name__}: "
            "name a function that makes an nn.Module."
        )
    return model


def _unknown(name: str, known: Iterable[str]) -> NormLabError:
    library, _, own = name.partition(":")
    near = difflib.get_close_matches(own, list(known), 6, 0.4) or sorted(known)[:6]
    return NormLabError(f"unknown model {name!r}: {library} has, for example, {', '.join(near)}.")
