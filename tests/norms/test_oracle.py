"""Every kind x layout x dtype against the float64 oracle: output, gradients, running statistics."""

import pytest
import torch
from norm_cases import (
    CASES,
    CHANNELS,
    FORMULA,
    KIND_LAYOUTS,
    TOLERANCE,
    build,
    case_id,
    draw,
    expected,
    formula_options,
    oracle_state,
)

from normlab.norms.formulas import reference

STATEFUL = [
    case
    for case in CASES
    if case[0] in ("batchnorm", "batchrenorm", "causal_batchnorm", "syncbatchnorm")
]


def assert_close(actual, wanted, dtype, what):
    """Tolerances are for values of size one; large sums are held to the same relative accuracy."""
    size = max(1.0, wanted.abs().max().item())
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(
        actual.double(),
        wanted,
        rtol=tolerance["rtol"],
        atol=tolerance["atol"] * size,
        msg=lambda m: f"{what}: {m}",
    )


def check(
    kind, layout, options, dtype, memory_format=torch.contiguous_format, training=True, device="cpu"
):
    norm = build(kind, layout, options, dtype).to(device).train(training)
    x = draw(layout).to(device, dtype)
    x = x.contiguous(memory_format=memory_format).requires_grad_()
    dy = draw(layout, seed=1).to(device, dtype).contiguous(memory_format=memory_format)
    x64 = x.detach().double().requires_grad_()
    wanted, parameters, running = expected(kind, norm, x64, layout, options, training)
    y = norm(x)
    assert y.shape == x.shape
    assert y.dtype == dtype
    assert y.is_contiguous(memory_format=memory_format)
    assert_close(y, wanted, dtype, "output")
    y.backward(dy)
    wanted.backward(dy.double())
    assert x.grad.dtype == dtype
    assert_close(x.grad, x64.grad, dtype, "input gradient")
    for name, parameter in norm.named_parameters():
        assert parameter.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        assert_close(parameter.grad, parameters[name].grad, dtype, f"gradient of {name}")
    state = norm.state_dict()
    for name, value in running.items():
        assert_close(state[name], value.double(), dtype, name)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=case_id)
@pytest.mark.parametrize(("kind", "layout", "options"), CASES, ids=case_id)
def test_matches_the_oracle(kind, layout, options, dtype):
    check(kind, layout, options, dtype)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TOLERANCE, ids=case_id)
def test_matches_the_oracle_on_a_gpu(dtype):
    for kind, layout, options in CASES:
        for training in (True, False):
            check(kind, layout, options, dtype, training=training, device="cuda")
            if layout == "NCHW":
                check(kind, layout, options, dtype, torch.channels_last, training, device="cuda")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=case_id)
@pytest.mark.parametrize(
    ("kind", "options"), [(k, o) for k, layout, o in CASES if layout == "NCHW"], ids=case_id
)
def test_matches_the_oracle_on_channels_last(kind, options, dtype):
    check(kind, "NCHW", options, dtype, torch.channels_last)


@pytest.mark.parametrize(
    "memory_format", [torch.contiguous_format, torch.channels_last], ids=case_id
)
@pytest.mark.parametrize(("kind", "layout", "options"), CASES, ids=case_id)
def test_bfloat16_is_rounded_once(kind, layout, options, memory_format):
    """Computed in float32, the output is the oracle's to one unit in the last place."""
    norm = build(kind, layout, options)
    x = (draw(layout) + 10).bfloat16()
    if layout == "NCHW":
        x = x.contiguous(memory_format=memory_format)
    x64 = x.double().requires_grad_()
    wanted, _, _ = expected(kind, norm, x64, layout, options)
    y = norm(x.requires_grad_())
    torch.testing.assert_close(y.double(), wanted, rtol=2**-8, atol=2e-4)
    dy = draw(layout, seed=1).bfloat16()
    y.backward(dy)
    wanted.backward(dy.double())
    # torch's own kernels round the terms of a gradient one by one: one unit of the largest
    size = max(1.0, x64.grad.abs().max().item())
    torch.testing.assert_close(x.grad.double(), x64.grad, rtol=2**-8, atol=6e-3 * size)


def test_a_row_of_rmsnorm_is_the_same_in_any_batch():
    norm = build("rmsnorm", "NC", {}, torch.float32)
    x = draw("NC", shape=(600, CHANNELS)).float()
    for rows in (1, 2, 7, 256):
        assert torch.equal(norm(x[:rows].clone()), norm(x)[:rows])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=case_id)
@pytest.mark.parametrize(("kind", "layout", "options"), CASES, ids=case_id)
def test_eval_mode_matches_the_oracle(kind, layout, options, dtype):
    check(kind, layout, options, dtype, training=False)


@pytest.mark.parametrize(
    "memory_format", [torch.contiguous_format, torch.channels_last], ids=case_id
)
@pytest.mark.parametrize(("kind", "layout", "options"), STATEFUL, ids=case_id)
def test_running_statistics_after_several_updates(kind, layout, options, memory_format):
    norm = build(kind, layout, options)
    parameters, running = oracle_state(norm)
    for seed in range(5):
        x = draw(layout, seed).float()
        if layout == "NCHW":
            x = x.contiguous(memory_format=memory_format)
        y = norm(x)
        wanted = reference(
            FORMULA.get(kind, kind),
            x.double(),
            layout,
            parameters,
            running=running,
            **formula_options(options),
        )
        assert_close(y, wanted.detach(), torch.float32, f"output of step {seed}")
    assert torch.equal(norm.num_batches_tracked, running["num_batches_tracked"])
    assert int(norm.num_batches_tracked.max()) == (0 if options.get("frozen") else 5)
    assert_close(norm.running_mean, running["running_mean"], torch.float32, "running_mean")
    assert_close(norm.running_var, running["running_var"], torch.float32, "running_var")
    norm.eval()
    wanted = reference(
        FORMULA.get(kind, kind),
        x.double(),
        layout,
        parameters,
        training=False,
        running=running,
        **formula_options(options),
    )
    before = norm.running_mean.clone()
    assert_close(norm(x), wanted.detach(), torch.float32, "output in eval mode")
    assert torch.equal(norm.running_mean, before)


@pytest.mark.parametrize("layout", ["NCHW", "NTC"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=case_id)
def test_adain_takes_scale_and_shift_from_outside(layout, dtype):
    norm = build("adain", layout, {})
    x = draw(layout).to(dtype).requires_grad_()
    scale, shift = (
        torch.randn(len(x), x.shape[1 if layout == "NCHW" else 2]).requires_grad_()
        for _ in range(2)
    )
    x64, scale64, shift64 = (t.detach().double().requires_grad_() for t in (x, scale, shift))
    y = norm(x, scale, shift)
    wanted = reference("adain", x64, layout, {}, scale=scale64, shift=shift64)
    assert y.dtype == dtype
    assert_close(y, wanted, dtype, "output")
    dy = draw(layout, seed=1).to(dtype)
    y.backward(dy)
    wanted.backward(dy.double())
    for ours, oracle in ((x, x64), (scale, scale64), (shift, shift64)):
        assert_close(ours.grad, oracle.grad, dtype, "gradient")
    assert_close(
        norm(x, shift=shift),
        reference("adain", x64, layout, {}, shift=shift64),
        dtype,
        "shift alone",
    )


@pytest.mark.parametrize("offset", [10.0, 100.0])
@pytest.mark.parametrize(
    "memory_format", [torch.contiguous_format, torch.channels_last], ids=case_id
)
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (kind, options)
        for kind, layout, options in CASES
        if layout == "NCHW" and kind not in ("none", "dyt", "derf")
    ],
    ids=case_id,
)
def test_statistics_survive_a_mean_far_from_zero(kind, options, memory_format, offset):
    """mean(x²) - mean(x)² is off in the second digit at 100 deviations, as torch's own can be."""
    norm = build(kind, "NCHW", options)
    x = (draw("NCHW") + offset).float().contiguous(memory_format=memory_format)
    wanted, _, _ = expected(kind, norm, x.double(), "NCHW", options)
    torch.testing.assert_close(norm(x).double(), wanted, rtol=2e-4, atol=1e-5 * offset)


@pytest.mark.parametrize(("kind", "layout"), KIND_LAYOUTS, ids=case_id)
def test_a_second_differentiation(kind, layout):
    norm = build(kind, layout, {}, torch.float64)
    x = draw(layout).requires_grad_()
    x64 = x.detach().clone().requires_grad_()
    wanted, _, _ = expected(kind, norm, x64, layout, {})
    weights = draw(layout, seed=1)

    def second(y, point):
        (first,) = torch.autograd.grad((y * weights).sum(), point, create_graph=True)
        if not first.requires_grad:
            return torch.zeros_like(point)
        (again,) = torch.autograd.grad(first.pow(2).sum(), point, allow_unused=True)
        return torch.zeros_like(point) if again is None else again

    torch.testing.assert_close(second(norm(x), x), second(wanted, x64), rtol=1e-7, atol=1e-8)
