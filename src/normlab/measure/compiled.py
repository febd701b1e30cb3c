"""Chains of norms and activations, compiled by torch.compile and as they are."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

CHANNELS, SIDE, SAMPLES = 16, 8, 4
NORMS: dict[str, Callable[[], nn.Module]] = {
    "batchnorm": lambda: nn.BatchNorm2d(CHANNELS),
    "groupnorm": lambda: nn.GroupNorm(4, CHANNELS),
    "instancenorm": lambda: nn.InstanceNorm2d(CHANNELS, affine=True),
    "layernorm": lambda: nn.LayerNorm((CHANNELS, SIDE, SIDE)),
    "rmsnorm": lambda: nn.RMSNorm((CHANNELS, SIDE, SIDE)),
}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "relu": nn.ReLU,
}
Chains = dict[str, nn.ModuleList]  # by the name of the second norm, one for each activation


def chains(first: str, generator: torch.Generator) -> Chains:
    """`first`, an activation and a second norm, in eval mode, for (N, CHANNELS, SIDE, SIDE).

    Gains, shifts and running statistics are random.
    """
    built = {}
    for name, second in NORMS.items():
        made = [nn.Sequential(NORMS[first](), act(), second()) for act in ACTIVATIONS.values()]
        built[name] = nn.ModuleList(made).eval()
    for chain in built.values():
        _draw(chain, generator)
    return built


@torch.no_grad()
def differences(first: str, seed: int, varied: int = 2) -> dict[str, float]:
    """Largest |compiled - eager| by the second norm, over the activations.

    `varied_<norm>`: on normal inputs, `varied` batches; `constant_<norm>`: on inputs of which each
    channel has one value throughout.
    """
    generator = torch.Generator().manual_seed(seed)
    built = chains(first, generator)

    def outputs(x: Tensor) -> list[list[Tensor]]:
        return [[one(x) for one in chain] for chain in built.values()]

    torch.compiler.reset()
    compiled = torch.compile(outputs)
    shape = (SAMPLES, CHANNELS, SIDE, SIDE)
    batches = [torch.randn(shape, generator=generator) * 2 + 1 for _ in range(varied)]
    values = torch.randn(1, CHANNELS, 1, 1, generator=generator)
    found: dict[str, float] = {}
    for kind, x in [*(("varied", x) for x in batches), ("constant", values.expand(shape))]:
        x = x.contiguous()
        for name, own, other in zip(built, outputs(x), compiled(x), strict=True):
            worst = max(float((a - b).abs().max()) for a, b in zip(own, other, strict=True))
            found[f"{kind}_{name}"] = max(found.get(f"{kind}_{name}", 0.0), worst)
    return found


def _draw(module: nn.Module, generator: torch.Generator) -> None:
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if name.endswith(("weight", "running_var")):
                value.uniform_(0.5, 2, generator=generator)
            elif name.endswith(("bias", "running_mean")):
                value.normal_(generator=generator)
