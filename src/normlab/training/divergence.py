"""When a run has diverged. Divergence is an outcome with a value, not a dropped row."""

import math

EXPLODED = 100.0  # times the trivial loss, in two measurements on end
STUCK = 0.98  # times the trivial loss, at every measurement of a quarter of the run
FEWEST_STEPS = 20  # in fewer a network that trains may still be where it began
FEW_STEPS = 40  # in fewer it need not have come below the trivial loss, if it falls towards it


def divergence(
    steps: list[int], losses: list[float], total_steps: int, trivial_loss: float
) -> str | None:
    """Why the run has diverged by now, or None.

    Args:
        steps: optimizer steps done at each measurement, rising.
        losses: mean training loss in nats between a measurement and the one before.
        total_steps: of the whole run.
        trivial_loss: what a model reaches that ignores its input: ln of the classes, unigram
            entropy.

    A run that sits at the trivial loss is not NaN, and yet it does not train: Post-LN without
    warm-up fails like that. From half way on, a run is stuck if it was above `STUCK`, without
    falling, ever since the first quarter; at the end, if it spent the last quarter there. Of a
    quarter with a single measurement nothing is said, nor of a run of fewer than `FEWEST_STEPS`
    steps; one of fewer than `FEW_STEPS` that falls is not stuck at its end either.
    """
    if not math.isfinite(losses[-1]):
        return f"the loss is not finite by step {steps[-1]}"
    if len(losses) > 1 and min(losses[-2:]) > EXPLODED * trivial_loss:
        return f"the loss exploded to {losses[-1]:.3g} nats by step {steps[-1]}"
    if total_steps < FEWEST_STEPS:
        return None
    fallen = losses[0] - losses[-1] > (1 - STUCK) * trivial_loss
    for begin, end in ((0.25, 0.5), (0.75, 1.0)):
        if steps[-1] < end * total_steps or (fallen and total_steps < FEW_STEPS):
            continue
        quarter = [
            loss for step, loss in zip(steps, losses, strict=True) if step > begin * total_steps
        ]
        # One may be the mean of more than the quarter, where chunks are long: of all steps, even.
        if len(quarter) < 2:
            continue
        # Before the end a slow start may still be one; then nothing is left to wait for.
        falling = end < 1 and quarter[0] - quarter[-1] > (1 - STUCK) * trivial_loss
        if min(quarter) > STUCK * trivial_loss and not falling:
            return f"stuck at the trivial loss ({trivial_loss:.3f} nats) by step {steps[-1]}"
    return None
