"""What would stop an evaluation, looked for before the training: nothing is lost at its end."""

import copy
from dataclasses import replace

import torch

from normlab.config.schema import Config, Evaluation
from normlab.data import Dataset, load_data
from normlab.data.options import TextDataConfig
from normlab.errors import NormLabError
from normlab.norms import spec_of
from normlab.training.evaluations.lengths import with_twice_the_context
from normlab.training.parallel import ALONE, Place
from normlab.training.setup import Setup


def check_beforehand(setup: Setup, place: Place = ALONE) -> None:
    """Return if every batch of the evaluations can be had, and read by the network as it is now.

    Of several processes one evaluates, when it is alone again: here it would wait for the others.

    Raises:
        NormLabError: a batch on which its norm has no statistics, a text that is too short.
    """
    if place.world_size > 1:
        return
    cfg = setup.cfg
    if Evaluation.twice_context in cfg.evaluations and isinstance(cfg.data, TextDataConfig):
        try:
            with_twice_the_context(setup)
        except NormLabError as error:
            raise NormLabError(
                f"evaluations=[twice_context] doubles the context: {error}"
            ) from None
    if not _evaluates_in_batches(cfg):
        return
    _check_batches(setup, setup.data, ("val", "test"))
    if Evaluation.whole_test in cfg.evaluations:
        whole = load_data(replace(cfg.data, eval_subset=None), cfg.seed)
        _check_batches(setup, whole, ("test",))


def _evaluates_in_batches(cfg: Config) -> bool:
    """Whether what a norm gives in evaluation may depend on the batch."""
    options = cfg.norm.options
    if cfg.norm.kind == "custom":
        return spec_of("custom", **options).batch_dependent
    return options.get("statistics", "running") != "running"


@torch.inference_mode()
def _check_batches(setup: Setup, data: Dataset, splits: tuple[str, ...]) -> None:
    """One batch of each size."""
    model = copy.deepcopy(setup.model).eval()
    device = next(model.parameters()).device
    sizes: set[int] = set()
    for split in splits:
        for x, _ in data.eval_batches(split):
            if len(x) in sizes:
                continue
            sizes.add(len(x))
            try:
                model(x.to(device))
            except ValueError as error:  # torch's own, too, of a layer that is not ours
                raise NormLabError(
                    f"data.eval_batch_size={setup.cfg.data.eval_batch_size} makes a batch of "
                    f"{len(x)} of the {split} split, which norm={setup.cfg.norm.kind} cannot "
                    f"evaluate ({error}): pass another size."
                ) from None
