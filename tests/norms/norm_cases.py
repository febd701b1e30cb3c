"""Inputs, options and tolerances that the norm tests share."""

import torch
from torch import Tensor, nn

from normlab.norms import KINDS, make_norm
from normlab.norms.formulas import reference
from normlab.norms.spec import MAP_LAYOUTS

CHANNELS = 32  # four values a group of groupnorm, at the least
SHAPES = {
    "NC": (8, CHANNELS),
    "NCL": (6, CHANNELS, 7),
    "NCHW": (6, CHANNELS, 5, 3),
    "NCDHW": (4, CHANNELS, 2, 3, 2),
    "NTC": (6, 7, CHANNELS),
}
KIND_LAYOUTS = [(kind, layout) for kind, spec in KINDS.items() for layout in spec.layouts]

# What else than the defaults changes the path through the code.
VARIANTS = [
    *((kind, {}) for kind in KINDS),
    ("batchnorm", {"ghost_batch": 2}),
    ("batchnorm", {"ghost_batch": 4, "momentum": None}),  # leaves a rest of 2 of 6, none of 8
    ("batchnorm", {"ghost_batch": 100, "eps": 0.1}),
    ("batchnorm", {"statistics": "batch", "momentum": 0.3}),
    ("syncbatchnorm", {"momentum": None, "eps": 0.1}),
    ("batchnorm", {"frozen": True}),
    ("batchrenorm", {"ghost_batch": 2, "warmup_steps": 0}),
    (
        "batchrenorm",
        {"ghost_batch": 4, "warmup_steps": 2, "r_max": 1.1, "d_max": 0.1, "momentum": None},
    ),
    ("causal_batchnorm", {"statistics": "prefix", "max_positions": 7}),
    ("causal_batchnorm", {"momentum": None, "eps": 0.1}),
    ("groupnorm", {"num_groups": 1}),
    ("groupnorm", {"channels_per_group": 8, "eps": 0.1}),
    *((kind, {"eps": 0.1}) for kind in ("channel_layernorm", "frn", "instancenorm", "layernorm")),
    *((kind, {"eps": 0.1}) for kind in ("adain", "pixelnorm", "rmsnorm")),
    *((kind, {"affine": False}) for kind, spec in KINDS.items() if "affine" in spec.options),
    *((kind, {"bias": False}) for kind, spec in KINDS.items() if "bias" in spec.options),
]
FORMULA = {"syncbatchnorm": "batchnorm"}  # of one process; tests/distributed/ has several
CASES = (
    [
        (kind, layout, options)
        for kind, options in VARIANTS
        for layout in KINDS[kind].layouts
        # NCL and NCDHW are NCHW seen in another way: tests/norms/test_layouts.py.
        if not options or layout in ("NC", "NCHW", "NTC")
    ]
    + [
        (kind, layout, {"ghost_batch": 1})
        for kind in ("batchnorm", "batchrenorm")
        for layout in ("NCHW", "NTC")
    ]
    + [("batchnorm", layout, {"statistics": "instance"}) for layout in ("NCHW", "NTC")]
)

# The half types carry 8 and 11 bits: an output of size 4 is off by 4 * 2^-9 and 4 * 2^-12 from
# rounding alone.
TOLERANCE = {
    torch.float64: {"rtol": 1e-9, "atol": 1e-9},
    torch.float32: {"rtol": 2e-4, "atol": 2e-5},
    torch.float16: {"rtol": 2e-3, "atol": 2e-3},
    torch.bfloat16: {"rtol": 1.6e-2, "atol": 1.6e-2},
}


def case_id(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={option}" for key, option in value.items()) or "default"
    return str(value).removeprefix("torch.")


def draw(layout: str, seed: int = 0, shape: tuple[int, ...] | None = None) -> Tensor:
    """A float64 input whose channels have means and scales of their own, off centre."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape or SHAPES[layout], generator=generator, dtype=torch.float64)
    channels = x.shape[-1] if layout == "NTC" else x.shape[1]
    scale = torch.linspace(0.5, 2, channels, dtype=torch.float64)
    shift = torch.linspace(-1, 2, channels, dtype=torch.float64)
    if layout in MAP_LAYOUTS:
        trailing = [1] * (x.ndim - 2)
        scale, shift = scale.view(-1, *trailing), shift.view(-1, *trailing)
    return x * scale + shift


def build(
    kind: str, layout: str, options: dict[str, object], dtype: torch.dtype = torch.float32
) -> nn.Module:
    """A norm whose parameters and running statistics are no longer those of a new one."""
    norm = make_norm(kind, CHANNELS, layout, **options)
    if dtype == torch.float64:
        norm.double()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, tensor in norm.state_dict(keep_vars=True).items():
            if name != "num_batches_tracked":
                noise = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.add_(noise.to(tensor.dtype) * (0.5 if name == "tau" else 1.0))
    return norm


def oracle_state(norm: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Float64 copies of a norm's parameters, with gradients, and of its running statistics."""
    parameters, running = {}, {}
    for name, tensor in norm.state_dict().items():
        if name.startswith("running") or name == "num_batches_tracked":
            running[name] = tensor.double() if tensor.is_floating_point() else tensor.clone()
        else:
            parameters[name] = tensor.double().clone().requires_grad_()
    return parameters, running


def formula_options(options: dict[str, object]) -> dict[str, object]:
    """Those that a formula reads: what it has no gain or shift for follows from its parameters."""
    return {name: value for name, value in options.items() if name not in ("affine", "bias")}


def expected(
    kind: str,
    norm: nn.Module,
    x: Tensor,
    layout: str,
    options: dict[str, object],
    training: bool = True,
) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """The oracle's output, parameters and running statistics after the call."""
    parameters, running = oracle_state(norm)
    y = reference(
        FORMULA.get(kind, kind),
        x,
        layout,
        parameters,
        training=training,
        running=running,
        **formula_options(options),
    )
    return y, parameters, running
