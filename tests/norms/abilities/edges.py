"""Inputs at the edge: none, wrong, of another precision; and the checkpoints of others."""

import copy
from itertools import product

import torch
from torch import Tensor, nn

from abilities.autograd import formula
from abilities.cases import CHANNELS, FORMATS, SHAPES, Case, build, example
from abilities.table import ability
from normlab.errors import NormLabError

WHOLE = (torch.uint8, torch.int64, torch.bool, torch.complex64)
HALF = (torch.float16, torch.bfloat16)
CLOSE = {torch.float64: 1e-7, torch.float32: 1e-4, torch.float16: 4e-3, torch.bfloat16: 3e-2}


@ability("empty input", group="edges")
def empty_input(case: Case) -> None:
    """No sample, and maps without height or sequences without length."""
    sizes = SHAPES[case.layout]
    takes_nothing(case, (0, *sizes[1:]))
    if case.layout != "NC":
        positions = 1 if case.layout == "NTC" else 2
        takes_nothing(case, (*sizes[:positions], 0, *sizes[positions + 1 :]))


def takes_nothing(case: Case, shape: tuple[int, ...]) -> None:
    """No gradient and no statistic comes of it; training counts the batch, as torch does."""
    for training in (True, False):
        layer = build(case).train(training)
        before = copy.deepcopy(layer.state_dict())
        x = torch.zeros(shape, requires_grad=True)
        y = layer(x)
        y.sum().backward()
        assert y.shape == shape and x.grad is not None and x.grad.shape == shape
        for parameter in layer.parameters():
            assert parameter.grad is not None and not parameter.grad.any()
        for name, tensor in layer.state_dict().items():
            old = before[name]
            if name.endswith("num_batches_tracked") and training:
                (old[: shape[1]] if old.ndim else old).add_(1)  # causal_batchnorm: by position
            assert torch.equal(tensor, old), name


@ability("whole or complex numbers", group="edges")
def whole_numbers(case: Case) -> None:
    layer, x = build(case).eval(), example(case)
    for dtype in WHOLE[1:]:
        refusal(layer, x.to(dtype), str(dtype).removeprefix("torch."))
    layer(x.to(WHOLE[0]))


def refusal(layer: nn.Module, x: Tensor, words: str) -> None:
    """Calls a layer of ours that has to refuse `x`, naming it; torch's layer may say anything."""
    try:
        layer(x)
    except NormLabError as error:
        assert words in str(error), error


@ability("float64 into float32", group="edges")
def wider_input(case: Case) -> None:
    mixed(case, torch.float32, torch.float64)


@ability("float32 into float64", group="edges")
def narrower_input(case: Case) -> None:
    mixed(case, torch.float64, torch.float32)


@ability("16 bits into float32", group="edges")
def half_input(case: Case) -> None:
    for dtype in HALF:
        mixed(case, torch.float32, dtype)


@ability("16-bit parameters", group="edges")
def half_parameters(case: Case) -> None:
    """As mixed precision of FSDP hands them over."""
    mixed(case, torch.float16, torch.float16)
    mixed(case, torch.bfloat16, torch.float32)


def mixed(case: Case, parameters: torch.dtype, dtype: torch.dtype) -> None:
    """Outputs, gradients and buffers against those in float64, with autocast and without."""
    for training, autocast in ((True, True), (True, False), (False, False)):
        layer, x = build(case).train(training), example(case).to(dtype).requires_grad_()
        if parameters is torch.float64:
            layer.double()
        for parameter in layer.parameters():
            parameter.data = parameter.data.to(parameters)
        exact, x64 = copy.deepcopy(layer).double(), x.detach().double().requires_grad_()
        for parameter in exact.parameters():  # which ours, once of 16 bits, would keep
            parameter.data = parameter.data.double()
        dy = example(case, seed=1)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            y = layer(x)
            y.backward(dy.to(dtype))
        y64 = exact(x64)
        y64.backward(dy.to(dtype).double())
        assert y.dtype == x.grad.dtype == dtype
        agree(y, y64, CLOSE[dtype])
        agree(x.grad, x64.grad, CLOSE[dtype])
        coarse = max(CLOSE[dtype], CLOSE[parameters])
        for ours, theirs in zip(layer.parameters(), exact.parameters(), strict=True):
            assert ours.grad.dtype == parameters
            agree(ours.grad, theirs.grad, coarse)
        for ours, theirs in zip(layer.buffers(), exact.buffers(), strict=True):
            agree(ours, theirs, CLOSE[torch.float32])


def agree(found: Tensor, wanted: Tensor, close: float) -> None:
    """Within `close` of the largest value."""
    size = wanted.abs().max().item()
    torch.testing.assert_close(found.double(), wanted.double(), rtol=0, atol=close * size)


@ability("NaN and infinity stay", group="edges")
def not_numbers(case: Case) -> None:
    """Where the plain formula has them, and nowhere else; in train and eval mode."""
    for value, training in product((torch.nan, torch.inf, -torch.inf), (True, False)):
        layer, x = build(case).train(training), example(case)
        x[(1,) * x.ndim] = value
        if case.of_torch:
            wanted = copy.deepcopy(layer).double()(x.double())
        else:
            wanted, _ = formula(case, layer, x.double())
        assert torch.equal(layer(x).isfinite(), wanted.isfinite())


@ability("any strides", group="edges")
def any_strides(case: Case) -> None:
    """Every second value, transposed, expanded: as a contiguous copy."""
    for name, strided in strides(example(case)).items():
        outcomes = []
        for x in (strided, strided.contiguous(memory_format=FORMATS[case.memory_format])):
            layer, point = build(case), x.detach().requires_grad_()
            y = layer(point)
            y.backward(example(case, seed=1))
            outcomes.append([y, point.grad, *(one.grad for one in layer.parameters())])
        for ours, plain in zip(*outcomes, strict=True):
            torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-3, msg=name)


def strides(x: Tensor) -> dict[str, Tensor]:
    return {
        "every second": torch.stack([x, x], dim=-1).flatten(-2)[..., ::2],
        "transposed": x.transpose(0, -1).contiguous().transpose(0, -1),
        "samples expanded": x[:1].expand_as(x),
        "last dimension expanded": x[..., :1].expand_as(x),
    }


@ability("input changed in place", group="edges")
def changed_in_place(case: Case) -> None:
    """Between forward and backward: autograd's error, or the gradient of what it was."""
    for training in (True, False):
        gradients = []
        for change in (False, True):
            layer, leaf = build(case).train(training), example(case).requires_grad_()
            x = leaf * 1
            y = layer(x)
            dy = example(case, seed=1)
            if change and y is not x:
                x.mul_(2)
            try:
                y.backward(dy)
            except RuntimeError as error:
                assert change and "modified by an inplace operation" in str(error)
                break
            gradients.append([leaf.grad, *(one.grad for one in layer.parameters())])
        else:
            for ours, plain in zip(*gradients, strict=True):
                torch.testing.assert_close(ours, plain)


@ability("frozen parameters", group="edges")
def frozen(case: Case) -> None:
    """requires_grad_(False): the same gradient of the input and the same buffers."""
    for training in (True, False):
        outcomes = []
        for learned in (True, False):
            layer = build(case).train(training).requires_grad_(learned)
            before = copy.deepcopy(layer.state_dict())
            x = example(case).requires_grad_()
            layer(x).backward(example(case, seed=1))
            assert learned or all(one.grad is None for one in layer.parameters())
            changed = [n for n, one in layer.state_dict().items() if not one.equal(before[n])]
            assert bool(changed) == (training and case.stateful), changed
            outcomes.append([x.grad, *layer.buffers()])
        for ours, plain in zip(*outcomes, strict=True):
            torch.testing.assert_close(ours, plain)


def has_count(case: Case) -> bool:
    return any("num_batches_tracked" in name for name in build(case).state_dict())


@ability("checkpoint without a count", group="edges", applies=has_count)
def old_checkpoint(case: Case) -> None:
    """Of torch before 0.4.1, without num_batches_tracked: strict, the count stays what it was."""
    state = build(case, seed=1).state_dict()
    (count,) = (name for name in state if name.endswith("num_batches_tracked"))
    del state[count], state._metadata
    for layer in (build(case), nn.Sequential(build(case))):
        prefix = "0." if isinstance(layer, nn.Sequential) else ""
        layer.load_state_dict({f"{prefix}{name}": one for name, one in state.items()})
        found = layer.state_dict()
        assert (found.pop(prefix + count) == 200).all()
        assert all(torch.equal(one, state[name[len(prefix) :]]) for name, one in found.items())


def others(case: Case) -> list[nn.Module]:
    """Layers of torch with the same parameters and buffers, eps too."""
    over = [nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm]
    match case.kind:
        case "batchnorm" | "syncbatchnorm" | "batchrenorm" | "batchnorm, ghost batches":
            return [layer(CHANNELS) for layer in over]
        case "groupnorm":
            return [nn.GroupNorm(2, CHANNELS)]
        case "instancenorm":
            return [nn.InstanceNorm1d(CHANNELS, affine=True)]
        case "adain":
            return [nn.InstanceNorm2d(CHANNELS)]
        case "layernorm" | "channel_layernorm":
            return [nn.LayerNorm(CHANNELS), nn.GroupNorm(1, CHANNELS)]
        case "rmsnorm":
            return [nn.RMSNorm(CHANNELS)]
    return []


@ability("checkpoint of torch and back", group="edges", applies=lambda case: bool(others(case)))
def checkpoint_of_torch(case: Case) -> None:
    """Strict both ways, and what torch's layer saves again is what it was."""
    for theirs in others(case):
        for tensor in theirs.state_dict().values():
            tensor.copy_(torch.rand(tensor.shape) * 5)
        state = copy.deepcopy(theirs.state_dict())
        ours, back = build(case._replace(of_torch=False)), copy.deepcopy(theirs)
        ours.load_state_dict(state)
        assert state.keys() == ours.state_dict().keys()
        for tensor in back.state_dict().values():
            tensor.zero_()
        back.load_state_dict(ours.state_dict())
        assert all(torch.equal(one, state[name]) for name, one in back.state_dict().items())
