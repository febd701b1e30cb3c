"""How much of the variance of a unit its position, its token or its sample explains."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from normlab.data import Dataset
from normlab.measure.states import inputs_of_norms

SAMPLES = 1000  # of the test split, at most


def explained_share(values: Tensor, groups: Tensor) -> Tensor:
    """(C,) of values (n, C): 1 - (variance within groups) / (whole variance), per unit.

    Of k groups (n,) with whole numbers. Within groups the sum of squares is divided by n - k, and
    the whole one by n - 1, so that groups which explain nothing have a share of 0 on average,
    however many they are (adjusted R squared). A unit that does not vary has a share of 0.
    """
    values = values.double()
    names, index = groups.unique(return_inverse=True)
    k, n = len(names), len(values)
    counts = torch.bincount(index, minlength=k).double()
    sums = torch.zeros(k, values.shape[1]).double().index_add_(0, index, values)
    residual = values - (sums / counts[:, None])[index]
    within = residual.square().sum(0) / max(1, n - k)
    whole = (values - values.mean(0)).square().sum(0) / max(1, n - 1)
    varies = whole > 1e-12 * values.square().mean(0)
    return torch.where(varies, 1 - within / whole.clamp_min(1e-300), torch.zeros_like(whole))


@torch.no_grad()
def norm_inputs(model: nn.Module, data: Dataset) -> Iterator[Mapping[str, Tensor]]:
    """For each norm what it reads of the test split, as rows, and what each row is of.

    `values` (n, C): a row for each position of each sample; `position`, `sample` and, of text,
    `token` (n,).
    """
    xs: list[Tensor] = []
    for x, _ in data.eval_batches("test"):
        xs.append(x)
        if sum(map(len, xs)) >= SAMPLES:
            break
    x = torch.cat(xs)[:SAMPLES]
    for read in inputs_of_norms(model.eval(), x):
        # (N, C, H, W) or (N, T, C) -> (N, positions, C)
        rows = read.flatten(2).transpose(1, 2) if read.ndim == 4 else read
        samples, positions, channels = rows.shape
        place = torch.arange(samples)[:, None].expand(samples, positions)
        told = {
            "values": rows.reshape(-1, channels),
            "position": torch.arange(positions).expand(samples, positions).reshape(-1),
            "sample": place.reshape(-1),
        }
        if data.modality == "text":
            told["token"] = x.reshape(-1)
        yield told


def variance_shares(model: nn.Module, data: Dataset) -> dict[str, float]:
    """Means over the units of a norm's input, then over norms: `position`, `sample`, `token`.

    `explained_share` by each of the three, tokens of text alone; with `_first` and `_last`, of the
    first and the last norm.
    """
    by_norm: dict[str, list[float]] = {}
    for told in norm_inputs(model, data):
        for name in told.keys() - {"values"}:
            share = float(explained_share(told["values"], told[name]).mean())
            by_norm.setdefault(name, []).append(share)
    metrics = {}
    for name, shares in sorted(by_norm.items()):
        metrics[name] = sum(shares) / len(shares)
        metrics[f"{name}_first"], metrics[f"{name}_last"] = shares[0], shares[-1]
    return metrics
