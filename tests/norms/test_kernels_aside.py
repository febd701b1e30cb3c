"""Where kernels stand aside: turned off, differentiated twice, transformed, compiled, not built."""

import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from norm_cases import case_id, draw
from torch.func import functional_call, grad, jvp, vmap

from normlab.norms import kernels, make_norm
from normlab.norms.kernels import library
from normlab.norms.kernels.conditions import enough_memory, kernels_for

ROOT = Path(__file__).resolve().parents[2]
built = pytest.mark.skipif(
    library._library() is None, reason="no kernels in C: they are built by `pip install -e .`"
)
FORMATS = [torch.contiguous_format, torch.channels_last]
KINDS_WITH = [
    ("rmsnorm", {}),
    ("layernorm", {}),
    ("channel_layernorm", {}),
    ("groupnorm", {"num_groups": 2}),
    ("instancenorm", {}),
    ("batchnorm", {"ghost_batch": 3}),
    ("batchnorm", {}),
    ("batchrenorm", {}),
]
ALONE = [case for case in KINDS_WITH if "batch" not in case[0]]
CASES = [
    (kind, options, layout, memory_format)
    for kind, options in KINDS_WITH
    for layout in ("NC", "NTC", "NCHW")
    for memory_format in (FORMATS if layout == "NCHW" else FORMATS[:1])
    if (kind, layout) != ("instancenorm", "NC")
]
SHAPES = {"NC": (6, 16), "NTC": (6, 5, 16), "NCHW": (6, 16, 3, 5)}


@pytest.fixture(params=["with", "without"], autouse=True)
def each_way(request, monkeypatch):
    """With the kernels, where they are built, and without."""
    monkeypatch.delenv("NORMLAB_KERNELS", raising=False)
    if request.param == "with" and library._library() is None:
        pytest.skip("no kernels in C")
    if request.param == "without":
        monkeypatch.setenv("NORMLAB_KERNELS", "off")
    monkeypatch.setattr(library, "_state", library._load())
    return request.param


def inputs(layout, memory_format, seed=0):
    x = draw(layout, seed, shape=SHAPES[layout]).float()
    return x.contiguous(memory_format=memory_format) if layout == "NCHW" else x


def test_what_runs_is_said(each_way):
    name = kernels.name()
    assert (name == "torch") is (each_way == "without")
    assert name in ("c-avx2", "c-base", "torch")
    assert f"kernel={name}" in str(make_norm("groupnorm", 16))
    assert "kernel" not in str(make_norm("none", 16))
    with kernels.without_kernels():
        assert kernels.name() == "torch"
        assert kernels_for(torch.ones(2)) is None
    assert kernels.name() == name


@pytest.mark.parametrize(("kind", "options", "layout", "memory_format"), CASES, ids=case_id)
def test_a_second_differentiation(kind, options, layout, memory_format):
    """Against the same in float64, which no kernel does."""
    norm = make_norm(kind, 16, layout, **options)
    results = []
    for layer, x in ((norm, inputs(layout, memory_format)), (copy.deepcopy(norm).double(), None)):
        x = inputs(layout, memory_format).double() if x is None else x
        x = x.requires_grad_()
        (dx,) = torch.autograd.grad(layer(x).pow(3).sum(), x, create_graph=True)
        results.append(torch.autograd.grad(dx.pow(2).sum(), [x, *layer.parameters()][:2]))
    for ours, wanted in zip(*results, strict=True):
        size = wanted.abs().max().item()
        torch.testing.assert_close(ours.double(), wanted, rtol=1e-3, atol=1e-5 * size)


@pytest.mark.parametrize("memory_format", FORMATS, ids=case_id)
@pytest.mark.parametrize(("kind", "options"), ALONE, ids=case_id)
def test_transforms_of_torch_func(kind, options, memory_format):
    norm, x = make_norm(kind, 16, **options), inputs("NCHW", memory_format)
    parameters = dict(norm.named_parameters())

    def loss(parameters, sample):
        return functional_call(norm, parameters, (sample.unsqueeze(0),)).pow(3).sum()

    point = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    norm(point).pow(3).sum().backward()
    torch.testing.assert_close(grad(lambda x: norm(x).pow(3).sum())(x), point.grad)
    each = vmap(grad(loss), in_dims=(None, 0))(parameters, x)
    torch.testing.assert_close(
        each["weight"].sum(0), parameters["weight"].grad, rtol=1e-4, atol=1e-4
    )
    _, forward = jvp(norm, (x,), (torch.ones_like(x),))
    jacobian = torch.autograd.functional.jacobian(norm, x, vectorize=True)
    torch.testing.assert_close(forward, jacobian.flatten(4).sum(4), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("memory_format", FORMATS, ids=case_id)
@pytest.mark.parametrize(
    ("kind", "options"),
    [("rmsnorm", {}), ("batchnorm", {"ghost_batch": 3}), ("batchrenorm", {})],
    ids=case_id,
)
def test_a_compiler_sees_operations(kind, options, memory_format):
    """Outputs, gradients and buffers are those of eager mode: of Batch Renormalization too, whose
    corrections come from statistics that it also records."""
    eager = make_norm(kind, 16, **options)
    for seed in range(120 if kind == "batchrenorm" else 0):
        eager(inputs("NCHW", memory_format, seed))
    compiled = copy.deepcopy(eager)
    torch.compiler.reset()
    outcomes = []
    x, dy = inputs("NCHW", memory_format, 200), inputs("NCHW", memory_format, 201)
    for call, layer in (
        (eager, eager),
        (torch.compile(compiled, backend="aot_eager", fullgraph=True), compiled),
    ):
        point = x.clone(memory_format=torch.preserve_format).requires_grad_()
        y = call(point)
        gradients = torch.autograd.grad(y, [point, *layer.parameters()], dy)
        outcomes.append([y.detach(), *gradients, *layer.buffers()])
    for one, other in zip(*outcomes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("kind", "options", "layout", "memory_format"), CASES, ids=case_id)
def test_any_strides(kind, options, layout, memory_format):
    """Views that no format fits, and gradients that do not lie as the output does."""
    x, dy = inputs(layout, memory_format), inputs(layout, memory_format, 1)
    results = []
    for spread in (False, True):
        point, gradient = x, dy
        if spread:
            point = torch.stack([x, x], dim=-1)[..., 0]
            gradient = dy.transpose(0, -1).contiguous().transpose(0, -1)
        point = point.detach().requires_grad_()
        norm = make_norm(kind, 16, layout, **options)
        results.append(torch.autograd.grad(norm(point), [point, *norm.parameters()], gradient))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_what_kernels_do_not_take():
    x = torch.ones(2, 3)
    for other in (x.double(), x.half(), x.to("meta"), x.to_sparse()):
        assert kernels_for(other) is None
    assert kernels_for(x, torch.ones(3, dtype=torch.bfloat16)) is None
    assert kernels_for(x, torch.ones(6)[::2]) is None
    with pytest.raises(MemoryError):
        enough_memory(0)


@built
def test_both_sets_of_kernels_give_the_same_bits(monkeypatch):
    results = {}
    for processor in ("base", "avx2"):
        if not hasattr(library._library(), f"normlab_{processor}_float32_set_forward"):
            pytest.skip("one processor only")
        monkeypatch.setattr(library, "_state", library._bind(library._library(), processor))
        results[processor] = []
        for kind, options, layout, memory_format in CASES:
            for dtype in (torch.float32, torch.bfloat16):
                x = inputs(layout, memory_format).to(dtype).requires_grad_()
                norm = make_norm(kind, 16, layout, **options)
                y = norm(x)
                dy = inputs(layout, memory_format, 1).to(dtype)
                results[processor] += [y, *torch.autograd.grad(y, [x, *norm.parameters()], dy)]
    for one, other in zip(*results.values(), strict=True):
        assert torch.equal(one, other)


@built
def test_a_kernel_is_called_with_numbers_alone(each_way):
    """By the module of the library, where it has one, and to the same bits by ctypes."""
    if each_way == "without":
        pytest.skip("once is enough")
    path = Path(library._library()._name)
    kernel = library.functions(torch.float32).rms_forward
    if library._binding(path) is not library._by_ctypes:
        for wrong in ([], [0] * 17, ["x"] * 8, [0.5] * 8):
            with pytest.raises(TypeError):
                kernel(*wrong)
    assert library._binding(path.parent / "_norms.of_another_system") is library._by_ctypes
    by_ctypes = library._by_ctypes(
        library._library(), "rms_forward", f"normlab_{kernels.name()[2:]}_float32_rms_forward"
    )
    x, weight = torch.randn(5, 12), torch.randn(12)
    results = []
    for function in (kernel, by_ctypes):
        y = torch.empty_like(x)
        function(x.data_ptr(), weight.data_ptr(), 0, y.data_ptr(), 0, 5, 12, 1)  # eps is whole
        results.append(y)
    assert torch.equal(*results)


@built
def test_a_library_of_other_sources_is_left_out(monkeypatch):
    monkeypatch.delenv("NORMLAB_KERNELS", raising=False)
    monkeypatch.setattr(library, "_sources", lambda: "00000000")
    with pytest.warns(RuntimeWarning, match="install the package again"):
        assert library._load().name == "torch"


def test_a_build_without_a_compiler_says_so(tmp_path, each_way):
    if each_way == "with":
        pytest.skip("once is enough")
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    folder = "src/normlab/norms/kernels"
    left_out = shutil.ignore_patterns("_norms*", "__pycache__")
    shutil.copytree(ROOT / folder, tmp_path / folder, ignore=left_out)
    command = [sys.executable, "setup.py", "build_ext", "--inplace"]
    environment = os.environ | {"CC": "no-such-compiler"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("normlab has no kernels in C") == 1
    assert not list((tmp_path / folder).glob("_norms*"))
