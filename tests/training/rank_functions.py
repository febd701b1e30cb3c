"""What the processes of the tests run; importable by name, as new processes need it."""

import os
import signal
import time

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from normlab.errors import NormLabError
from normlab.norms import make_norm


def misbehave(how: str, pid_file: str) -> int:
    """What a process of a group may do; its pid goes into a file beside the others'."""
    rank = dist.get_rank()
    with open(f"{pid_file}-{rank}", "w") as file:
        file.write(str(os.getpid()))
    dist.barrier()
    if rank == 1 and how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if rank == 1 and how == "raise":
        raise RuntimeError("as asked")
    if rank == 1 and how == "refuse":
        raise NormLabError("not like this.")
    if rank == 1 and how == "hang":
        time.sleep(600)
    dist.all_reduce(torch.ones(1))
    if how == "late":
        time.sleep(600)
    return rank


def layouts_and_modes() -> dict[str, float]:
    """Largest differences from BatchNorm on the joined batch, in float64, by layout, memory
    format and count."""
    rank = dist.get_rank()
    shapes = {
        "NC": (9, 4),
        "NTC": (9, 7, 4),
        "NCHW": (9, 4, 3, 2),
        "large": (9, 4, 9, 8),
        "last": (9, 4, 9, 8),
    }
    own = (slice(0, 3), slice(3, 9))[rank]
    found = {}
    for name, shape in shapes.items():
        generator = torch.Generator().manual_seed(0)
        x, dy = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
        if name == "last":
            x = x.contiguous(memory_format=torch.channels_last)
        layout = name if name in ("NC", "NTC") else "NCHW"
        sync = make_norm("syncbatchnorm", 4, layout, momentum=None).double()
        joined = make_norm("batchnorm", 4, layout, momentum=None).double()
        errors = []
        for step in range(3):  # the third shows running statistics that average over steps
            part, whole = (x + 100 * step)[own].requires_grad_(), (x + 100 * step).requires_grad_()
            y, y_joined = sync(part), joined(whole)
            one, all_ = (
                torch.autograd.grad(y, part, dy[own])[0],
                torch.autograd.grad(y_joined, whole, dy)[0],
            )
            errors += [(y - y_joined[own]).abs().max(), (one - all_[own]).abs().max()]
        errors += [(sync.running_mean - joined.running_mean).abs().max()]
        errors += [(sync.running_var - joined.running_var).abs().max()]
        errors += [(sync.eval()(x) - joined.eval()(x)).abs().max()]
        found[name] = float(torch.stack(errors).max())
    return found


def gradient_penalty() -> dict[str, float]:
    """A step of a penalty on the input's gradient, as WGAN-GP and R1 take: largest differences
    from BatchNorm on the joined batch, in float64."""
    rank = dist.get_rank()
    own = (slice(0, 3), slice(3, 8))[rank]
    generator = torch.Generator().manual_seed(0)
    x, dy = (torch.randn(8, 4, 3, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    found = []
    for kind, part in (("syncbatchnorm", own), ("batchnorm", slice(None))):
        norm = make_norm(kind, 4).double()
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([0.5, 1.0, 1.5, 2.0]))
        leaf = x[part].clone().requires_grad_()
        y = norm(leaf).sigmoid()
        (first,) = torch.autograd.grad((y * dy[part]).sum(), leaf, create_graph=True)
        (y.sum() + first.square().sum()).backward()
        found.append([first.detach(), leaf.grad, norm.weight.grad, norm.bias.grad])
    ours, joined = found
    for share in ours[2:]:  # of the parameters' gradients, a process has its share
        dist.all_reduce(share)
    wanted = [joined[0][own], joined[1][own], *joined[2:]]
    names = ("first", "input", "weight", "bias")
    return {n: float((a - b).abs().max()) for n, a, b in zip(names, ours, wanted, strict=True)}


def saved_buffers(kind: str) -> list[float]:
    """Running means after one step in DDP, and after its next forward pass, where rank 1's data
    lie at 10."""
    rank = dist.get_rank()
    norm = make_norm(kind, 1, "NC", momentum=1.0)
    model = DistributedDataParallel(norm)
    x = torch.tensor([[-1.0], [1.0]]) + 10 * rank
    model(x).sum().backward()
    after = norm.running_mean.clone()
    norm.momentum = 0.0  # what is there now stays
    model(x)
    return [after.item(), norm.running_mean.item()]


def gpu_against_torch() -> dict[str, float]:
    """Our layer against torch.nn.SyncBatchNorm, two gloo processes on one GPU, in float32."""
    rank = dist.get_rank()
    generator = torch.Generator().manual_seed(0)
    x, dy = (torch.randn(8, 16, 12, 12, generator=generator) * 2 + 1 for _ in range(2))
    part = slice(4 * rank, 4 * rank + 4)
    results = []
    for layer in (make_norm("syncbatchnorm", 16), torch.nn.SyncBatchNorm(16)):
        layer.cuda()
        leaf = x[part].cuda().requires_grad_()
        y = layer(leaf)
        y.backward(dy[part].cuda())
        results.append(
            [
                y,
                leaf.grad,
                layer.weight.grad,
                layer.bias.grad,
                layer.running_mean,
                layer.running_var,
            ]
        )
    names = ("output", "input", "weight", "bias", "mean", "variance")
    return {
        name: float((a - b).abs().max() / b.abs().max())
        for name, a, b in zip(names, *results, strict=True)
    }
