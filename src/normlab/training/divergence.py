"""When a run has diverged, or did not train. Both are outcomes with a value, not dropped rows."""

import math
from collections.abc import Sequence

EXPLODED = 100.0  # times the trivial loss, in two measurements on end
STUCK = 0.98  # times the trivial loss, on the validation split
LEARNS = 0.9  # times the trivial loss: who has come so low in training is not stuck
FEWEST_STEPS = 40  # in fewer a network that trains may still be where it began


def divergence(steps: Sequence[int], losses: Sequence[float], trivial_loss: float) -> str | None:
    """Why the run has diverged by now, or None: nothing else ends a run before its last step.

    Args:
        steps: optimizer steps done at each measurement, rising.
        losses: mean training loss in nats between a measurement and the one before.
        trivial_loss: what a model reaches that ignores its input: ln of the classes, unigram
            entropy.
    """
    if not math.isfinite(losses[-1]):
        return f"the loss is not finite by step {steps[-1]}"
    if len(losses) > 1 and min(losses[-2:]) > EXPLODED * trivial_loss:
        return f"the loss exploded to {losses[-1]:.3g} nats by step {steps[-1]}"
    return None


def stuck(
    val_loss: float, losses: Sequence[float], trivial_loss: float, total_steps: int
) -> str | None:
    """Why a run that has done all its steps did not train, or None.

    It is stuck if its loss on the validation split is no better than that of a model which ignores
    its input there: above `STUCK` times the trivial loss of the same split. Post-LN without warm-up
    fails like that, and is not NaN. A run whose training loss is below `LEARNS` times that loss in
    its last quarter does train, whatever its statistics give in evaluation, or however much it
    overfits. Of fewer than `FEWEST_STEPS` steps nothing is said.

    Args:
        val_loss: nats, after the last step.
        losses: mean training losses in nats, in the order of the steps.
        trivial_loss: of the validation split, nats.
        total_steps: of the whole run.
    """
    last_quarter = losses[-max(1, len(losses) // 4) :]
    learns = min(last_quarter) < LEARNS * trivial_loss or val_loss <= STUCK * trivial_loss
    if learns or total_steps < FEWEST_STEPS:
        return None
    return f"stuck at the trivial loss ({trivial_loss:.3f} nats) after step {total_steps}"
