"""The networks of the zoo: of each family of torchvision, timm and transformers the smallest."""

import re
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import version
from typing import NamedTuple

from normlab.errors import NormLabError, choices

LIBRARIES = ("torchvision", "timm", "transformers")
_EXTRA = {"torchvision": "train", "timm": "models", "transformers": "models"}

# Words for sizes in the names of networks, from small to large; a family has all of them.
_SIZES = (
    *("zepto", "atto", "femto", "pico", "nano", "n", "xxtiny", "xtiny", "tiny", "ti", "t", "mini"),
    *("xxs", "xx", "xs", "small", "s", "slim", "medium", "m", "b", "base", "plus", "l", "large"),
    *("xl", "xlarge", "xxl", "xxlarge", "x", "e", "h", "huge", "big", "g", "giant", "gigantic"),
    *("enormous", "f", "d", "p", "k", "w", "gf", "mf"),
)


class Network(NamedTuple):
    """A network, `torchvision:resnet18`, and the family that it stands for."""

    name: str
    family: str

    @property
    def library(self) -> str:
        return self.name.partition(":")[0]


def networks(library: str) -> list[Network]:
    """One network of each family of `library`, in the order of the library's list.

    Raises:
        NormLabError: an unknown library, or one that is not installed.
    """
    if library not in LIBRARIES:
        raise choices("library", library, LIBRARIES)
    check_installed(library)
    if library == "transformers":
        modeling = import_module("transformers.models.auto.modeling_auto")
        return [Network(f"transformers:{name}", name) for name in modeling.MODEL_MAPPING_NAMES]
    listed = _torchvision() if library == "torchvision" else _timm()
    smallest: dict[str, str] = {}
    for name, home in listed:
        family = f"{home}: {stem(name)}"
        if family not in smallest or _size(name) < _size(smallest[family]):
            smallest[family] = name
    return [Network(f"{library}:{name}", family) for family, name in smallest.items()]


def check_installed(library: str) -> None:
    """Raises NormLabError where `library` cannot be imported."""
    try:
        import normlab.models.torchvision_operators  # noqa: F401  (before torchvision itself)

        import_module(library)
    except ImportError:
        install = f"pip install 'normlab[{_EXTRA[library]}]'"
        raise NormLabError(f"the networks of {library} need that library: {install}.") from None


def library_version(library: str) -> str:
    """Of the installed one."""
    return version(library)


def _torchvision() -> Iterable[tuple[str, str]]:
    models = import_module("torchvision.models")
    for name in models.list_models():
        home = models.get_model_builder(name).__module__.removeprefix("torchvision.models.")
        yield name, home


def _timm() -> Iterable[tuple[str, str]]:
    timm = import_module("timm")
    for home in timm.list_modules():
        for name in timm.list_models(module=home):
            yield name, home


def stem(name: str) -> str:
    """A network's name without sizes, but with versions: `resnet_gn` of resnet50_gn."""
    words = (re.sub(r"(?<!v)\d+([a-z]{1,2}\d*)?$|(?<!v)\d+", "", word) for word in name.split("_"))
    kept = [word for word in words if word and word not in _SIZES]
    return "_".join(kept) or name


def _size(name: str) -> tuple[list[int], list[int]]:
    """What orders the names of a family from small to large: words first, then numbers."""
    words = [re.sub(r"\d+", "", word) for word in name.split("_")]
    ranks = [_SIZES.index(word) for word in words if word in _SIZES]
    return ranks, [int(digits) for digits in re.findall(r"\d+", name)]
