"""How figures and tables show a metric: what it is in words, with its unit. Torch-free.

`normlab.claims.metrics` has what rules reckon with. Its words stand in rules, and a change of one
would be another version of each claim that has it; a change of these changes a figure's heading.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from normlab.claims.metrics import Metric, metric, percent

Own = Mapping[str, str | Metric]  # of a claim: words with their unit, by the name in a record

# Of trainings, and of what is measured on trained networks, by pattern of the name. A number in
# the name, {0} in the words, is a batch size, a severity, or a count of images.
_SHOWN: Mapping[str, str | Metric] = {
    "test_accuracy": "test accuracy",
    "val_accuracy": "validation accuracy",
    "train_loss": "training loss, nats",
    "test_loss": "test loss, nats",
    "val_loss": "validation loss, nats",
    "trivial_loss": "loss of a model that ignores its input, nats",
    "precise_test_accuracy": "test accuracy, statistics re-estimated over the training split",
    "precise_test_loss": "test loss, statistics re-estimated over the training split, nats",
    "batch_test_accuracy": "test accuracy, statistics of each test batch",
    "batch_test_loss": "test loss, statistics of each test batch, nats",
    "instance_test_accuracy": "test accuracy, statistics of each sample",
    "instance_test_loss": "test loss, statistics of each sample, nats",
    "whole_test_accuracy": "test accuracy on the whole test split",
    "whole_test_loss": "test loss on the whole test split, nats",
    "within_test_loss": "test loss at positions within the trained context, nats",
    "beyond_test_loss": "test loss at positions beyond the trained context, nats",
    "unseen_styles_accuracy": "test accuracy on styles that no training used",
    "stream_growth": "size (RMS) of the residual stream, last block over first",
    "corrupted_accuracy": "test accuracy on corrupted images, mean of 8 corruptions",
    # Not contrast: `contrast_accuracy` is also a probe's, so that a claim says which it has.
    "(brightness|colour|fog|noise|impulses|blur|pixelate)_accuracy": (
        "test accuracy on corrupted images: {0}"
    ),
    r"adapted_(\d+)_accuracy": "accuracy on corrupted images, statistics of groups of {0} images",
    "adapted_sorted_accuracy": (
        "accuracy on corrupted images sorted by class, statistics of groups of 256"
    ),
    "adapted_mixed_accuracy": "accuracy on a mix of corruptions, statistics of groups of 256",
    "adapted_clean_accuracy": "accuracy on clean images, statistics of groups of 256 images",
    "mixed_accuracy": "accuracy on a mix of corruptions, stored statistics",
    "eval_mode_accuracy": "test accuracy in eval mode",
    "drifted_accuracy": "test accuracy after 500 single images in train mode",
    r"train_mode_accuracy_(\d+)": percent("test accuracy in train mode, batches of {0}"),
    "train_mode_sorted_16_accuracy": "test accuracy in train mode, batches of 16 of one class",
    r"train_mode_flips_(\d+)": percent(
        "predictions that change with the batch mates, train mode, batches of {0}"
    ),
    r"eval_mode_flips_(\d+)": percent(
        "predictions that change with the batch, eval mode, batches of {0}"
    ),
    r"accumulation_error_(\d+)": (
        "relative error of the gradient accumulated over micro-batches of {0}"
    ),
    r"accumulation_cosine_(\d+)": (
        "cosine of the gradient accumulated over micro-batches of {0} with the whole one"
    ),
    # What rules compute of records, by the label that it is shown under.
    "ratio of times": "ratio of times",
    "ratio by the norms alone": "ratio of times by the norms alone",
    "trained without divergence: 1, or 0": "trained without divergence, 1 (yes) or 0 (no)",
}


def metric_in_words(name: str, own: Own) -> Metric:
    """The metric of that name, by the words that a claim has for it, or by those of trainings.

    A metric without either is called by its name.
    """
    given = _given(name, own)
    if given is None:
        return metric(name)
    if isinstance(given, str):
        return replace(metric(name), words=given)
    return replace(given, name=name)


def has_words(name: str, own: Own) -> bool:
    """Whether anyone has said what it is."""
    return _given(name, own) is not None


def _given(name: str, own: Own) -> str | Metric | None:
    if name in own:
        return own[name]
    for pattern, words in _SHOWN.items():
        found = re.fullmatch(pattern, name)
        if found and isinstance(words, str):
            return words.format(*found.groups())
        if found and isinstance(words, Metric):
            return replace(words, words=words.words.format(*found.groups()))
    return None
