"""Folding the network in a checkpoint of train.py."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from normlab.errors import NormLabError
from normlab.tools.fold.model import Folding, fold


@dataclass(frozen=True)
class TrainedFolding:
    """The network as it was trained, in eval mode, and its folding.

    x: the first batch of the test split.
    """

    model: nn.Module
    folding: Folding
    x: Tensor


def fold_trained(checkpoint: Path) -> TrainedFolding:
    """The network in `checkpoint`, folded.

    Raises:
        NormLabError: what `load_trained` refuses, and a network without batch norms.
    """
    from normlab.training.trained_model import load_trained

    model, data = load_trained(checkpoint)
    # In training mode nothing is fixed, and so nothing folds.
    model.eval()
    folding = fold(model)
    if not folding.batch_norms:
        raise NormLabError(
            f"{checkpoint}: there is no batch norm to fold: "
            "pass a model trained with norm=batchnorm."
        )
    x, _ = next(iter(data.eval_batches("test")))
    return TrainedFolding(model, folding, x)
