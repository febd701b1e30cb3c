"""Trainings that diverge by a script, and when TensorBoard's scalars show it."""

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from normlab.config.compose import compose
from normlab.errors import choices
from normlab.training.divergence import LEARNS, divergence
from normlab.training.setup import Setup, set_up
from normlab.training.step import loss_of

# An MLP on images that every installation has.
NETWORK = ("data=digits", "data.batch_size=64", "model=mlp", "optim.weight_decay=0")
TAGS = ("loss", "gradient_norm")
CALM = 200  # steps before the script begins
GUESSED = 0.2  # share of labels that are drawn anew, so that there is always a gradient
RECENT = 100  # of them that a value is compared with
GROWTH = {"slow": 1.01, "fast": 1.05}  # of the rate, a step
JUMP, SPOILED = 1000.0, 1e4
TIMES = 3.0  # above the largest recent value it is seen
TAIL = 50  # last losses, whose mean says whether a run has learnt
SCRIPTS = (*GROWTH, "jump", "spoiled", "none")

Scalars = Mapping[str, list[tuple[int, float]]]  # by tag: steps, ascending, and values


def rate_factor(script: str, step: int) -> float:
    """Times the rate at a 0-based step: it grows by 1 % (`slow`) or 5 % (`fast`) a step from
    `CALM` on, or is a thousandfold (`jump`)."""
    after = step - CALM
    if after < 0:
        return 1.0
    if script in GROWTH:
        return GROWTH[script] ** (after + 1)
    return JUMP if script == "jump" else 1.0


def run(
    norm: str, script: str, rate: float, steps: int, seed: int, folder: Path
) -> tuple[int, Setup]:
    """Trains by SGD, writes the scalars of `TAGS` of every step to `folder` by torch's
    SummaryWriter, and returns the first step whose loss is not finite, `steps` if there is none.

    A fifth of the labels of each batch are drawn at random: a network that has fitted its images
    has no gradient, and bears any rate. `spoiled`: in step `CALM` images are 10,000 times as large,
    and those of other labels.

    Raises:
        NormLabError: another name of a script.
    """
    if script not in SCRIPTS:
        raise choices("script", script, SCRIPTS)
    from torch.utils.tensorboard import SummaryWriter

    overrides = (*NETWORK, f"norm={norm}", f"trainer.max_steps={steps}", "optim.warmup=0")
    setup = set_up(
        compose([*overrides, "optim.decay=constant", f"optim.lr={rate}", f"seed={seed}"])
    )
    setup.model.train()
    draw = torch.Generator().manual_seed(seed)
    with SummaryWriter(str(folder)) as writer:
        for step in range(steps):
            x, y = setup.data.batch(step)
            y = _partly_guessed(y, setup.data.num_outputs, draw)
            if script == "spoiled" and step == CALM:
                x = SPOILED * x.flip(0)
            for group in setup.optimizer.param_groups:
                group["lr"] = rate * rate_factor(script, step)
            loss, gradient = _step(setup, x, y)
            for tag, value in zip(TAGS, (loss, gradient), strict=True):
                writer.add_scalar(tag, value, step)
            if not math.isfinite(loss):
                return step, setup
    return steps, setup


def _partly_guessed(y: Tensor, classes: int, draw: torch.Generator) -> Tensor:
    """Classes (n,), of which `GUESSED` are any."""
    guessed = torch.rand(len(y), generator=draw) < GUESSED
    return torch.where(guessed, torch.randint(classes, y.shape, generator=draw), y)


def _step(setup: Setup, x: Tensor, y: Tensor) -> tuple[float, float]:
    """One step of the optimizer: its loss, and the length of its gradient."""
    setup.optimizer.zero_grad()
    loss = loss_of(setup.model, x, y)
    loss.backward()
    gradients = [one.grad for one in setup.model.parameters() if one.grad is not None]
    length = torch.nn.utils.get_total_norm(gradients)
    setup.optimizer.step()
    return float(loss.detach()), float(length)


def read_scalars(folder: Path) -> Scalars:
    """What TensorBoard reads of a folder, every scalar: by its own default it draws 1,000 a tag."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    scalars = {}
    for tag in TAGS:
        found = events.Scalars(tag)
        scalars[tag] = sorted((event.step, event.value) for event in found)
    return scalars


def first_seen(values: list[tuple[int, float]], every: int = 1) -> int | None:
    """The first logged step from `CALM` on with a value above 3 times the largest of the 100 steps
    before it, or one that is not finite; None if there is none.

    every: the interval of logging; other steps are not looked at.
    """
    logged = [(step, value) for step, value in values if step % every == 0]
    calm = max(value for step, value in logged if CALM - RECENT <= step < CALM)
    for step, value in logged:
        if step >= CALM and not value <= TIMES * calm:
            return step
    return None


def warning(
    norm: str, script: str, rate: float, steps: int, seed: int
) -> tuple[dict[str, float], Setup]:
    """How many steps before the loss is not finite each scalar shows it, and the training's setup.

    Of a loss that is finite to the last step, it is the steps to there: fewer than there would be.

    `lead`: the earlier of both scalars; `loss_lead` and `gradient_lead`; `sparse_lead`: the earlier
    of both if every 50th step is logged; `explosion_lead`: the earlier of both before the first
    step in which `divergence` says so. Each 0 where nothing is seen before. `alarm`: 1 if anything
    is seen before. `diverged`: 1 if at the end `divergence` says so; `ended`: 1 if the loss was not
    finite. `lost`: 1 if the mean of the last 50 losses is not below 0.9 times the trivial one.
    """
    with tempfile.TemporaryDirectory() as folder:
        last, setup = run(norm, script, rate, steps, seed, Path(folder))
        scalars = read_scalars(Path(folder))
    leads = [_lead(scalars[tag], last) for tag in TAGS]
    sparse = [_lead(scalars[tag], last, every=50) for tag in TAGS]
    diverged = [step for step, _ in scalars["loss"] if _diverged(scalars, step, setup)]
    explosion = diverged[0] if diverged else last
    tail = [loss for _, loss in scalars["loss"][-TAIL:]]
    learns = sum(tail) / len(tail) < LEARNS * setup.data.trivial_loss  # no, too, if one is NaN
    metrics = {
        "lead": max(leads),
        "loss_lead": leads[0],
        "gradient_lead": leads[1],
        "sparse_lead": max(sparse),
        "explosion_lead": max(_lead(scalars[tag], explosion) for tag in TAGS),
        "alarm": float(max(leads) > 0),
        "diverged": float(_diverged(scalars, scalars["loss"][-1][0], setup)),
        "ended": float(last < steps),
        "lost": float(not learns),
    }
    return metrics, setup


def _diverged(scalars: Scalars, step: int, setup: Setup) -> bool:
    """By this step: not finite, or exploded in two steps on end."""
    steps, losses = zip(*scalars["loss"][max(0, step - 1) : step + 1], strict=True)
    return divergence(steps, losses, setup.data.trivial_loss) is not None


def _lead(values: list[tuple[int, float]], last: int, every: int = 1) -> float:
    seen = first_seen(values, every)
    return 0.0 if seen is None else float(max(0, last - seen))
