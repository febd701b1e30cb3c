"""One network of the zoo: built, audited, folded, converted, and trained for a step."""

import copy
import resource
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from normlab.errors import NormLabError
from normlab.measure.zoo.equality import fold_equality
from normlab.measure.zoo.inputs import taken_input
from normlab.measure.zoo.operators import provide_operators
from normlab.measure.zoo.rows import Row
from normlab.measure.zoo.small_configs import build_small, refuse_large
from normlab.tools.audit import audit
from normlab.tools.audit.finding import Audit
from normlab.tools.convert import convert
from normlab.tools.convert.outcome import Outcome
from normlab.tools.fold import fold
from normlab.tools.fold.batch_norms import is_batch_norm
from normlab.tools.forward_pass import call, error_in_words, training_step
from normlab.tools.norm_layers import FROZEN, find_norms
from normlab.tools.zoo import build_named

# What each kind becomes.
TO = {
    FROZEN: "groupnorm",
    "batchnorm": "groupnorm",
    "syncbatchnorm": "groupnorm",
    "instancenorm": "groupnorm",
    "layernorm": "rmsnorm",
    "channel_layernorm": "groupnorm",
    "rmsnorm": "layernorm",
    "channel_rmsnorm": "groupnorm",
    "groupnorm": "channel_layernorm",
}
BATCH = 32  # that a training is said to have, which is no matter for an audit to complain about
# Of reasons to stay: the code around a norm is to blame, and not what stands beside it.
_MISSED = ("torch.fx", "tensors of", "keeps tensors", "the code of the model", "hooks", "ways")


def examine(row: Row) -> Iterator[str]:
    """Fills in `row`; gives the name of each stage before it begins.

    Whatever a stage raises is one sentence of `row.reasons`, by its name; the others go on.
    """
    warnings.simplefilter("ignore")
    row.torch = torch.__version__
    yield "build"
    model, batch = _built(row)
    if model is None:
        _note_time(row)
        return
    row.parameters = sum(parameter.numel() for parameter in model.parameters())
    row.norms = dict(Counter(norm.kind for norm in find_norms(model)))
    stages: dict[str, Callable[[], None]] = {
        "audit": lambda: _audit(row, model, batch),
        "fold": lambda: _fold(row, model, batch),
        "convert": lambda: _convert(row, model),
        "step": lambda: _step(row, model, batch),
    }
    for stage, work in stages.items():
        _note_time(row)
        yield stage
        torch.manual_seed(2)
        try:
            work()
        except Exception as error:  # whatever other people's networks raise
            row.reasons[stage] = _words(error)
    _note_time(row)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, NormLabError) else error_in_words(error)


def _note_time(row: Row) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    row.seconds = round(used.ru_utime + used.ru_stime, 1)


def _built(row: Row) -> tuple[nn.Module | None, Any]:
    """A network with an input that it takes; None for the input where there is none."""
    model = None
    try:
        for model in _builders(row.network):
            try:
                batch = taken_input(row.network, model.eval())
            except NormLabError as error:
                row.reasons.setdefault("input", str(error))
            else:
                row.reasons.pop("input", None)
                return model, batch
    except Exception as error:  # whatever other people's networks raise
        row.reasons["build"] = _words(error)
    return model, None


def _builders(name: str) -> Iterator[nn.Module]:
    torch.manual_seed(0)
    library, _, own = name.partition(":")
    if library == "transformers":
        yield from build_small(own)
    else:
        refuse_large(build_named, name)
        model = build_named(name)
        if library == "torchvision":
            provide_operators()
        yield model


def _audit(row: Row, model: nn.Module, batch: Any) -> None:
    """In train mode as it was built, and in eval mode with the statistics of its batch."""
    row.findings = _first_of_each(audit(model.train(), batch, 1, BATCH))
    used = with_statistics(model, batch)
    row.findings_eval = _first_of_each(audit(used.eval(), batch, 1, BATCH))


def _first_of_each(done: Audit) -> dict[str, str]:
    first: dict[str, str] = {}
    for finding in done:
        first.setdefault(finding.name, f"{finding.where}: {finding.reason}"[:300])
    return first


@torch.no_grad()
def with_statistics(model: nn.Module, batch: Any) -> nn.Module:
    """A copy whose batch norms have random gains and shifts, and the statistics of `batch`.

    Random statistics where it cannot be called in train mode. No branch starts at a gain of 0.
    """
    used = copy.deepcopy(model)
    norms: list[Any] = [module for module in used.modules() if is_batch_norm(module)]
    momenta = [getattr(norm, "momentum", None) for norm in norms]
    for norm in norms:
        if isinstance(getattr(norm, "weight", None), nn.Parameter):
            norm.weight.uniform_(0.5, 1.5)
        if isinstance(getattr(norm, "bias", None), nn.Parameter):
            norm.bias.normal_(0, 0.1)
        if isinstance(norm.running_mean, torch.Tensor):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 2)
        if hasattr(norm, "momentum"):
            norm.momentum = 1.0  # what a batch has is what is kept
    if batch is not None and norms:
        before = copy.deepcopy(used.state_dict())
        try:
            call(used.train(), batch)
            for norm in norms:
                _raise_small_variances(norm)
        except Exception:  # of a batch that is too small for statistics, say
            used.load_state_dict(before)
    for norm, momentum in zip(norms, momenta, strict=True):
        if hasattr(norm, "momentum"):
            norm.momentum = momentum
    return used


def _raise_small_variances(norm: Any) -> None:
    """To a tenth of the mean: two samples can agree in a channel, as a data set never does."""
    variance = norm.running_var
    if variance is not None and variance.ndim:
        variance.clamp_(min=0.1 * float(variance.mean()))
        if not bool((variance + norm.running_mean).isfinite().all()):
            raise ValueError("statistics that are not finite")


def _fold(row: Row, model: nn.Module, batch: Any) -> None:
    """Its batch norms folded, and the outputs before and after compared."""
    norms = [module for module in model.modules() if is_batch_norm(module)]
    if not norms:
        row.batch_norms = 0
        return
    used = with_statistics(model, batch).eval()
    folding = fold(used)
    row.batch_norms, row.folded = len(folding.batch_norms), len(folding.folded)
    row.missed = sum(any(word in fate.reason for word in _MISSED) for fate in folding.kept)
    names = {name for name, _ in model.named_modules() if name}
    row.kept = dict(Counter(_without_names(fate.reason, names) for fate in folding.kept))
    if batch is None:
        row.fold = "not compared"
    else:
        row.fold, row.fold_difference = fold_equality(used, folding.model, batch)


def _without_names(reason: str, names: set[str]) -> str:
    """The reason with LAYER for each path of the network, so that equal ones are one."""
    words = []
    for word in reason.split(" "):
        bare = word.rstrip(",;:")
        words.append(f"LAYER{word[len(bare) :]}" if bare in names and "." in bare else word)
    return " ".join(words)


def _convert(row: Row, model: nn.Module) -> None:
    """Every norm to another kind, in place."""
    kinds = [kind for kind in row.norms if kind]
    # All before any is changed: what one conversion makes, the next would find.
    found = {kind: [norm for norm in find_norms(model) if norm.kind == kind] for kind in kinds}
    left: Counter[str] = Counter()
    for norm in find_norms(model):
        if not norm.kind:
            left[norm.reason] += 1
    converted = 0
    for kind, norms in found.items():
        chosen = {norm.module for norm in norms}
        if kind not in TO:
            left[f"{kind} stays"] += len(norms)
            continue
        pick = lambda _, module, chosen=chosen: module in chosen  # noqa: E731
        done = convert(model, TO[kind], kind, pick)
        converted += len(done.replaced)
        left.update("; ".join(norm.notes) for norm in done.left if _was_asked(norm))
    row.converted, row.left = converted, dict(left)


def _was_asked(norm: Outcome) -> bool:
    """Whether a norm that was left is of the kind that was asked for; others say what they are."""
    return not any("not among" in note for note in norm.notes)


def _step(row: Row, model: nn.Module, batch: Any) -> None:
    """A training step of what conversion has made; "not tried" for networks that take none."""
    row.step = "not tried"
    if batch is None:
        return
    try:
        _take_step(model, batch)
    except NormLabError as error:
        row.step, reason = "refused", str(error)
    except Exception as error:  # whatever other people's networks raise
        row.step, reason = "failed", _words(error)
    else:
        row.step = "ok"
        return
    row.reasons["step"] = reason
    try:
        torch.manual_seed(2)
        _take_step(next(_builders(row.network)), batch)
    except Exception as error:  # whatever other people's networks raise
        row.step = "not tried"
        row.reasons["step"] = f"as it was built, too: {_words(error)}"


def _take_step(model: nn.Module, batch: Any) -> None:
    """Raises ArithmeticError where the output or a parameter is not finite."""
    output = training_step(model.train(), batch)
    finite = all(bool(parameter.isfinite().all()) for parameter in model.parameters())
    if not finite or not bool(output.isfinite().all()):
        raise ArithmeticError("an output or a parameter is not finite")
