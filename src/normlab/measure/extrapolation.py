"""How large the outputs of a small regression network become far from the data it was fitted to."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from normlab.norms import make_norm

SAMPLES, INPUTS, WIDTH, DEPTH, BATCH = 512, 4, 64, 3, 64
RADII = (1, 10, 100, 1_000, 10_000)  # times the data's
DIRECTIONS = 256


def network(kind: str, place: str, generator: torch.Generator) -> nn.Sequential:
    """`DEPTH` hidden layers of ReLU, (N, INPUTS) -> (N, 1), He's initial weights.

    Args:
        kind: of the norm before a ReLU.
        place: `first`, `middle` or `last` hidden layer, or `all` of them.
    """
    places = {"first": [0], "middle": [DEPTH // 2], "last": [DEPTH - 1], "all": range(DEPTH)}
    layers: list[nn.Module] = []
    fan_in = INPUTS
    for depth in range(DEPTH):
        layers.append(_linear(fan_in, WIDTH, generator))
        if depth in places[place]:
            layers.append(make_norm(kind, WIDTH, "NC"))
        layers.append(nn.ReLU())
        fan_in = WIDTH
    return nn.Sequential(*layers, _linear(WIDTH, 1, generator))


def data(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs (SAMPLES, INPUTS), uniform in the ball of radius 1, and a smooth target (SAMPLES, 1)
    of unit variance: a sum of sines of random directions."""
    directions = _directions(SAMPLES, generator)
    x = directions * torch.rand(SAMPLES, 1, generator=generator) ** (1 / INPUTS)
    waves = 3 * torch.randn(INPUTS, 4, generator=generator)
    y = torch.sin(x @ waves).sum(1, keepdim=True)
    return x, (y - y.mean()) / y.std()


def fit(
    net: nn.Module, x: Tensor, y: Tensor, rate: float, steps: int, generator: torch.Generator
) -> None:
    """`steps` steps of Adam on the mean square error, batches of 64, the rate falling to zero."""
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    net.train()
    for _ in range(steps):
        index = torch.randint(len(x), (BATCH,), generator=generator)
        optimizer.zero_grad()
        loss = (net(x[index]) - y[index]).square().mean()
        loss.backward()
        optimizer.step()
        schedule.step()
    net.eval()


@torch.no_grad()
def outputs_by_radius(net: nn.Module, generator: torch.Generator) -> dict[str, float]:
    """`largest_r`: the largest |f(r u)| over 256 random directions u of length 1, r in `RADII`."""
    directions = _directions(DIRECTIONS, generator)
    return {f"largest_{radius}": float(net(radius * directions).abs().max()) for radius in RADII}


def extrapolation(
    kind: str, place: str, seed: int, steps: int, rates: Sequence[float]
) -> dict[str, float]:
    """Fits a network at the rate with the lowest error on a fifth of the samples, and returns that
    error (`val_error`, of a target of unit variance) and the outputs by radius."""
    x, y = data(torch.Generator().manual_seed(seed))
    kept = SAMPLES * 4 // 5
    best: dict[str, float] = {}
    for rate in rates:
        generator = torch.Generator().manual_seed(seed)
        net = network(kind, place, generator)
        fit(net, x[:kept], y[:kept], rate, steps, generator)
        with torch.no_grad():
            error = float((net(x[kept:]) - y[kept:]).square().mean())
        if not best or error < best["val_error"]:
            best = {"val_error": error, **outputs_by_radius(net, generator)}
    return best


def _directions(n: int, generator: torch.Generator) -> Tensor:
    return nn.functional.normalize(torch.randn(n, INPUTS, generator=generator), dim=1)


def _linear(fan_in: int, fan_out: int, generator: torch.Generator) -> nn.Linear:
    layer = nn.Linear(fan_in, fan_out)
    with torch.no_grad():
        layer.weight.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
        layer.bias.zero_()
    return layer
