"""The samples of PyTorch's own tests of its norms, with the layer of ours that each asks for."""

import sys
import types
import unittest
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.norms import make_norm

LAYOUT_OF_NDIM = {2: "NC", 3: "NCL", 4: "NCHW", 5: "NCDHW"}
LAYOUT_OF_SIZES = {1: "NC", 2: "NTC", 3: "NCHW", 4: "NCDHW"}
OPERATORS = ("batch_norm", "layer_norm", "rms_norm", "group_norm", "instance_norm")


class Sample(NamedTuple):
    """What torch computes of `x`, and what makes our layer for it and its input.

    build: returns the layer and the shape to view `x` in, which is that of `x` unless the
    dimensions before the normalized ones are no single one.
    """

    name: str
    x: Tensor
    training: bool
    theirs: nn.Module
    build: Callable[[], tuple[nn.Module, tuple[int, ...]]]


class Function(nn.Module):
    """A function of torch.nn.functional, with the parameters and buffers that it is given."""

    def __init__(self, call: Callable[..., Tensor], **tensors: Tensor | None) -> None:
        super().__init__()
        self.call = call
        for name, tensor in tensors.items():
            if name.startswith("running"):
                self.register_buffer(name, tensor)
            else:
                weight = None if tensor is None else nn.Parameter(tensor.detach().clone())
                self.register_parameter(name, weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.call(x, self)


def databases() -> tuple[list[Any], list[Any]]:
    """torch's module and operator databases; what importing them changes is changed back."""
    # They are written for tests with a package that only compares long outputs.
    if "expecttest" not in sys.modules:
        sys.modules["expecttest"] = stand_in = types.ModuleType("expecttest")
        stand_in.TestCase = unittest.TestCase
    called = torch._C.ScriptFunction.__call__, torch._C.ScriptMethod.__call__
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.common_modules import module_db

    torch._C.ScriptFunction.__call__, torch._C.ScriptMethod.__call__ = called
    torch.backends.__allow_nonbracketed_mutation_flag = True
    return module_db, op_db


def module_samples(database: list[Any], dtype: torch.dtype) -> Iterator[Sample]:
    """Those of every norm layer, in both modes."""
    for info in database:
        if "Norm" not in info.module_cls.__name__:
            continue
        for training in (True, False):
            inputs = info.module_inputs_func(
                info, device="cpu", dtype=dtype, requires_grad=False, training=training
            )
            for given in inputs:
                made = given.constructor_input
                theirs = info.module_cls(*made.args, **made.kwargs).to(dtype)
                (x,) = given.forward_input.args
                name = f"{info.module_cls.__name__} {made.args} {made.kwargs} {tuple(x.shape)}"
                yield Sample(name, x, training, theirs, lambda t=theirs, x=x: of_module(t, x))


def of_module(theirs: Any, x: Tensor) -> tuple[nn.Module, tuple[int, ...]]:
    """Our layer in the place of a layer of torch's, for an input like `x`."""
    if isinstance(theirs, nn.LocalResponseNorm):
        return make_norm("local_response_norm", x.shape[1]), x.shape
    affine = theirs.weight is not None
    bias = not affine or getattr(theirs, "bias", None) is not None
    options: dict[str, Any] = {"eps": theirs.eps, "affine": affine, "bias": bias}
    if isinstance(theirs, nn.LayerNorm | nn.RMSNorm):
        kind = "layernorm" if isinstance(theirs, nn.LayerNorm) else "rmsnorm"
        return over_sizes(kind, tuple(theirs.normalized_shape), x, options)
    if isinstance(theirs, nn.GroupNorm):
        layout = LAYOUT_OF_NDIM[x.ndim]
        options["num_groups"] = theirs.num_groups
        return make_norm("groupnorm", theirs.num_channels, layout, **options), x.shape
    options |= {"momentum": theirs.momentum, "track_running_stats": theirs.track_running_stats}
    kind, layout = "batchnorm", LAYOUT_OF_NDIM[x.ndim]
    if type(theirs).__name__.startswith("InstanceNorm"):  # takes one sample by itself too
        kind, dims = "instancenorm", int(type(theirs).__name__[-2])
        layout = LAYOUT_OF_NDIM[dims + 2]
    return make_norm(kind, theirs.num_features, layout, **options), x.shape


def over_sizes(
    kind: str, sizes: tuple[int, ...], x: Tensor, options: dict[str, Any]
) -> tuple[nn.Module, tuple[int, ...]]:
    """Layer or RMS norm over the last dimensions of `x`, those before joined to one."""
    if kind == "rmsnorm":
        options = {name: value for name, value in options.items() if name != "bias"}
    if len(sizes) == 1 and x.ndim == 3:
        return make_norm(kind, sizes[0], "NTC", **options), x.shape
    samples = x.shape[: x.ndim - len(sizes)].numel()
    features = sizes[0] if len(sizes) == 1 else sizes
    return make_norm(kind, features, LAYOUT_OF_SIZES[len(sizes)], **options), (samples, *sizes)


def operator_samples(database: list[Any], dtype: torch.dtype) -> Iterator[Sample]:
    """Those of the functions of OPERATORS."""
    for info in database:
        name = info.name.removeprefix("nn.functional.")
        if info.name != f"nn.functional.{name}" or name not in OPERATORS:
            continue
        for given in info.sample_inputs("cpu", dtype):
            yield _of_operator(name, given.input.detach(), given.args, dict(given.kwargs))


def _of_operator(name: str, x: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sample:
    orders = {
        "batch_norm": ("running_mean", "running_var", "weight", "bias", "training"),
        "instance_norm": ("running_mean", "running_var", "weight", "bias", "use_input_stats"),
        "layer_norm": ("normalized_shape", "weight", "bias", "eps"),
        "rms_norm": ("normalized_shape", "weight", "eps"),
        "group_norm": ("num_groups", "weight", "bias", "eps"),
    }
    given = {**dict(zip(orders[name], args, strict=False)), **kwargs}
    names = "weight", "bias", "running_mean", "running_var"
    tensors = {one: given.pop(one) for one in names if isinstance(given.get(one), Tensor)}
    given = {one: value for one, value in given.items() if value is not None}
    function = getattr(F, name)

    def call(x: Tensor, module: nn.Module) -> Tensor:
        held = {one: getattr(module, one) for one in tensors}
        if name == "batch_norm":
            held = {"running_mean": None, "running_var": None, **held}
        return function(x, **held, **given)

    training = given.get("training", given.get("use_input_stats", name != "batch_norm"))
    text = f"{name} {tuple(x.shape)} {sorted(tensors)} {given}"
    if not training:
        given.pop("momentum", None)  # which nothing reads
    theirs = Function(call, **tensors)
    return Sample(text, x, training, theirs, lambda: _for_operator(name, x, tensors, given))


def _for_operator(
    name: str, x: Tensor, tensors: dict[str, Tensor], given: dict[str, Any]
) -> tuple[nn.Module, tuple[int, ...]]:
    options: dict[str, Any] = {"affine": "weight" in tensors, "bias": "bias" in tensors}
    if not options["affine"]:
        options["bias"] = True  # there is none without a gain
    options["eps"] = given.get("eps", 1e-5)
    if name in ("layer_norm", "rms_norm"):
        if name == "rms_norm" and "eps" not in given:
            options["eps"] = torch.finfo(x.dtype).eps
        kind = {"layer_norm": "layernorm", "rms_norm": "rmsnorm"}[name]
        return over_sizes(kind, tuple(given["normalized_shape"]), x, options)
    layout = LAYOUT_OF_NDIM.get(x.ndim, f"of {x.ndim} dimension")
    if name == "group_norm":
        options["num_groups"] = given["num_groups"]
        return make_norm("groupnorm", x.shape[1], layout, **options), x.shape
    kind = "batchnorm" if name == "batch_norm" else "instancenorm"
    tracked = "running_mean" in tensors
    options |= {"track_running_stats": tracked, "momentum": given.get("momentum", 0.1)}
    return make_norm(kind, x.shape[1 if x.ndim > 1 else 0], layout, **options), x.shape
