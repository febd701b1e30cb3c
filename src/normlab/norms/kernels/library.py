"""The shared library of kernels: which one runs here, and its functions for each dtype.

It is plain C without a line of torch, built with the package where there is a compiler, and called
on the memory of tensors. Each call runs on the thread that calls it, whatever
`torch.set_num_threads` says: so a result has the same bits with any number of threads.
"""

import ctypes
import hashlib
import importlib.util
import os
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

_FOLDER = Path(__file__).resolve().parent
_GEOMETRY = "7ld"  # sets, samples, channels, pixels, group, last, centred, eps
# Arguments of a kernel, in the letters of `struct`: it takes one struct, of fields of 8 bytes.
_ARGUMENTS = {
    "rms_forward": "5P2ld",
    "rms_backward": "7P2ld",
    "layer_forward": "5P2ld",
    "layer_backward": "7P2ld",
    "set_forward": "5P" + _GEOMETRY,
    "set_backward": "7P" + _GEOMETRY,
    "running": "3P3ld",
}
_DTYPES = (torch.float32, torch.bfloat16)
_AVX2 = "normlab_avx2_float32_set_forward"  # there where the processor's family has it


@dataclass(frozen=True)
class Functions:
    """The kernels for one dtype of input. Each returns 0 where there was no memory to work in."""

    rms_forward: Callable[..., int]
    rms_backward: Callable[..., int]
    layer_forward: Callable[..., int]
    layer_backward: Callable[..., int]
    set_forward: Callable[..., int]
    set_backward: Callable[..., int]
    running: Callable[..., int]


@dataclass
class _State:
    """What runs: empty and "torch" where the kernels are off, or not there."""

    functions: dict[torch.dtype, Functions]
    name: str


def name() -> str:
    """What norms on the CPU run by: `c-avx2` or `c-base`, which give the same bits, or `torch`."""
    return _state.name


def family(kernel: str | None = None) -> str:
    """`c` or `torch`: what gives the same bits as `kernel`, by its name; by default what runs."""
    return (kernel or name()).partition("-")[0]


def functions(dtype: torch.dtype) -> Functions | None:
    """The kernels for inputs of `dtype`; None where there are none, or they are off."""
    return _state.functions.get(dtype)


@contextmanager
def without_kernels() -> Iterator[None]:
    """Norms run by torch's own operations inside, on every thread."""
    before = _state.functions, _state.name
    _state.functions, _state.name = {}, "torch"
    try:
        yield
    finally:
        _state.functions, _state.name = before


def _load() -> _State:
    library = None if os.environ.get("NORMLAB_KERNELS", "").lower() == "off" else _library()
    if library is None:
        return _State({}, "torch")
    wide = torch.backends.cpu.get_cpu_capability().startswith(("AVX2", "AVX512"))
    return _bind(library, "avx2" if wide and hasattr(library, _AVX2) else "base")


def _bind(library: Any, processor: str) -> _State:
    found = {}
    bind = _binding(Path(library._name))
    for dtype in _DTYPES:
        prefix = f"normlab_{processor}_{str(dtype).removeprefix('torch.')}"
        names = {kernel: f"{prefix}_{kernel}" for kernel in _ARGUMENTS}
        names["running"] = "normlab_running"  # of no input
        found[dtype] = Functions(
            **{kernel: bind(library, kernel, symbol) for kernel, symbol in names.items()}
        )
    return _State(found, f"c-{processor}")


def _library() -> Any:
    """None where none was built; with a word, where it was built from other sources than these."""
    for path in sorted(_FOLDER.glob("_norms*")):
        try:
            library = ctypes.CDLL(str(path))
            library.normlab_sources.restype = ctypes.c_uint
            sources = f"{library.normlab_sources():08x}"
        except (OSError, AttributeError):  # of another system
            continue
        if sources == _sources():
            return library
        warnings.warn(
            "the kernels of normlab.norms were built from other sources than lie here, and are "
            "left out: install the package again",
            RuntimeWarning,
            stacklevel=2,
        )
    return None


def _sources() -> str:
    """As setup.py tells the library: 8 hexadecimal digits of all C files."""
    files = sorted(_FOLDER.glob("*.[ch]"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


_Binding = Callable[[Any, str, str], Callable[..., int]]  # of library, kernel and symbol


def _binding(path: Path) -> _Binding:
    """How a kernel of the library becomes a function, which takes pointers as numbers, 0 for none.

    By the library's own module, which ctypes stands in for where it was built without Python's
    header, or for another Python.
    """
    spec = importlib.util.spec_from_file_location("normlab.norms.kernels._norms", path)
    if spec is None:
        return _by_ctypes
    try:
        module: Any = importlib.util.module_from_spec(spec)
    except ImportError:
        return _by_ctypes
    return lambda library, _, symbol: module.bind(_address(library[symbol]))


def _address(function: Any) -> int:
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address


def _by_ctypes(library: Any, kernel: str, symbol: str) -> Callable[..., int]:
    """With the arguments packed here: to convert them one by one takes longer than a small norm."""
    function: Any = library[symbol]
    function.argtypes = [ctypes.c_char_p]
    function.restype = ctypes.c_int
    pack = struct.Struct(_ARGUMENTS[kernel]).pack
    return lambda *arguments: function(pack(*arguments))


_state = _load()
