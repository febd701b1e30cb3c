"""Compilers, exporters and tracers: what they make of a layer does what the layer does."""

import copy
import importlib
import io
from collections.abc import Callable, Iterator
from unittest import mock

import torch
from torch import Tensor, fx, nn

import normlab.models.torchvision_operators  # noqa: F401  # isort: skip  (before torchvision)
from torchvision.models.feature_extraction import create_feature_extractor

from abilities.cases import Case, OfTransposed, build, example, new
from abilities.table import ability
from abilities.together import BATCH, Together


class Around(nn.Module):
    """A model with the layer in its middle."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.norm = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x * 1.5).relu()


def step(layer: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Output and input gradient."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    y = layer(x)
    y.pow(3).sum().backward()
    return y.detach(), x.grad


def agree(found: Tensor | None, wanted: Tensor | None, close: float = 1e-5) -> None:
    """Within `close` of the largest value."""
    if wanted is None or found is None:
        assert found is wanted
        return
    atol = close * max(wanted.abs().max().item(), 1e-3)
    torch.testing.assert_close(found, wanted, rtol=0, atol=atol)


def same_call(layer: nn.Module, eager: nn.Module, x: Tensor) -> None:
    """The same output and buffers."""
    agree(layer(x), eager(x))
    same_buffers(layer, eager)


def same_state(layer: nn.Module, eager: nn.Module, close: float = 1e-5) -> None:
    """The same gradients and buffers."""
    for name, parameter in eager.named_parameters():
        agree(layer.get_parameter(name).grad, parameter.grad, close)
    same_buffers(layer, eager, close)


def same_buffers(layer: nn.Module, eager: nn.Module, close: float = 1e-5) -> None:
    found = dict(layer.named_buffers())
    for name, wanted in eager.named_buffers():
        agree(found[name], wanted, close)


def in_modes(case: Case) -> Iterator[nn.Module]:
    """The layer in eval mode, and in train mode where that is another path."""
    yield build(case).eval()
    if case.stateful:
        yield build(case)


@ability("compile", group="tracing", slow=True)
def compiled(case: Case) -> None:
    """In one graph, train and eval: outputs, gradients and buffers are those of eager mode."""
    for layer in in_modes(case):
        layer = layer.double()
        eager, x = copy.deepcopy(layer), example(case).double()
        torch._dynamo.reset()
        found = step(torch.compile(layer, fullgraph=True, backend="aot_eager"), x)
        for one, wanted in zip(found, step(eager, x), strict=True):
            agree(one, wanted, 1e-9)
        same_state(layer, eager, 1e-9)


@ability("export", group="tracing", slow=True)
def exported(case: Case) -> None:
    """Train and eval, with a batch of any size."""
    for layer in in_modes(case):
        module, outputs = Together.of(case, layer.training).module
        agree(outputs[case], layer(example(case, batch=BATCH)))
        if case.stateful:
            same_buffers(module.get_submodule(f"layers.{case}"), layer)


@ability("fx", group="tracing")
def traced_by_fx(case: Case) -> None:
    """A leaf, also for torchvision's feature extractor."""
    for layer in in_modes(case):
        model, x = Around(layer), example(case)
        wanted = copy.deepcopy(model)(x)
        graph = fx.symbolic_trace(model)
        (leaf,) = [node.target for node in graph.graph.nodes if node.op == "call_module"]
        assert leaf == ("norm.layer" if isinstance(layer, OfTransposed) else "norm")
        agree(graph(x), wanted)
    features = create_feature_extractor(model.eval(), [leaf])
    if leaf == "norm":
        agree(features(x)["norm"], layer.eval()(x * 1.5))


@ability("jit.trace", group="tracing")
def traced_by_jit(case: Case) -> None:
    """And saved and loaded; it takes a batch of another size."""
    for layer in in_modes(case):
        file = io.BytesIO()
        torch.jit.save(
            torch.jit.trace(copy.deepcopy(layer), example(case), check_trace=False), file
        )
        file.seek(0)
        traced = torch.jit.load(file)
        traced.load_state_dict(layer.state_dict())
        same_call(traced, layer, example(case, batch=BATCH))


@ability("jit.script", group="tracing")
def scripted(case: Case) -> None:
    for layer in in_modes(case):
        model = Around(layer)
        wanted = copy.deepcopy(model)(example(case))
        agree(torch.jit.script(model)(example(case)), wanted)


@ability("ONNX", group="tracing", slow=True)
def exported_to_onnx(case: Case) -> None:
    """In eval mode, with a batch of any size, run by ONNX Runtime."""
    found = Together.of(case, False).of_onnx_runtime[case]
    agree(found, build(case).eval()(example(case, batch=BATCH)))


@ability("autocast", group="tracing")
def under_autocast(case: Case) -> None:
    """To bfloat16: statistics in float32, and the dtype that went in. torch's may give float32."""
    for dtype, close in ((torch.float32, 1e-5), (torch.bfloat16, 2**-8)):
        x = example(case).to(dtype)
        wanted = build(case)(x.float())
        with torch.autocast("cpu", torch.bfloat16):
            y = build(case)(x)
        assert y.dtype == dtype or case.of_torch
        agree(y.float(), wanted, close)


@ability("meta device", group="tracing")
def on_meta(case: Case) -> None:
    """Built there, train and eval; shapes come out, and nothing is lost when it moves."""
    with torch.device("meta"):
        layer = new(case)
        for training in (True, False):
            y = layer.train(training)(torch.empty(example(case).shape))
            assert y.is_meta and y.shape == example(case).shape
    layer = layer.to_empty(device="cpu").train()
    layer.load_state_dict(build(case).state_dict())
    agree(layer(example(case)), build(case)(example(case)))


@ability("DataParallel", group="tracing")
def replicated(case: Case) -> None:
    """Copies as nn.DataParallel makes them: the gradients of all meet in the original, whose
    buffers are those of the first copy."""
    layer, alone = build(case), [build(case), build(case)]
    replicate = importlib.import_module("torch.nn.parallel.replicate")
    with (
        mock.patch.object(replicate, "_broadcast_coalesced_reshape", on_two_devices),
        mock.patch.object(replicate, "_get_device_index", lambda device, optional: device),
    ):
        copies = replicate.replicate(layer, [0, 1])
    for index, (one, other) in enumerate(zip(copies, alone, strict=True)):
        x = example(case, seed=index)
        for found, wanted in zip(step(one, x), step(other, x), strict=True):
            agree(found, wanted)
    for name, parameter in layer.named_parameters():
        agree(parameter.grad, sum(other.get_parameter(name).grad for other in alone))
    same_buffers(layer, alone[0])


def on_two_devices(
    tensors: list[Tensor], devices: list[int], detach: bool = False
) -> list[list[Tensor]]:
    """As replicate sends tensors: the first device has the original."""
    if detach:
        return [tensors, [tensor.clone() for tensor in tensors]]
    return [[tensor.view_as(tensor) for tensor in tensors], [tensor.clone() for tensor in tensors]]
