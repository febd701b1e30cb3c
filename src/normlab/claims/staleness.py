"""Whether the code that is here now made the records, or gives the same as what did.

One rule for every trial: it depends on its roots and on all that they import, directly or not. A
training's roots are the training itself and the files that its configuration names; those of a
trial that a claim measures by itself lie in the claim's file. Files go by their first names (see
`normlab.records.moves`), and only what can change a result counts (`normlab.records.outline`).
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from normlab.data.availability import IMAGE_SETS
from normlab.errors import NormLabError
from normlab.norms.registry import declared_kinds
from normlab.records.json_values import Json
from normlab.records.moves import SET_ASIDE, first_name
from normlab.records.provenance import Hashes, Sources, load_sources, way_of
from normlab.records.record import Record, target_hash
from normlab.records.tree import CHOOSERS, DATA, EVALUATION, MODEL, NORM, Tree, here, trial_name
from normlab.training.evaluations import MODULES

CUSTOM = "norms/custom.py"  # the wrapper of a class that lies elsewhere
# Where files lie, or lay, that a training may run through.
_OF_TRAININGS = ("norms/", "models/", "data/", "training/", "reparam.py")
# Roots of every training; its configuration names the others.
_TRAINING = ("training/fit.py", MODEL)
# Loaders are chosen by the name of the data: no import leads to them.
_IMAGES = ("data/images.py", "data/image_sources.py")
_TEXTS = (
    "data/text.py",
    "data/text_sources.py",
    "data/documents.py",
    "data/document_sources.py",
)


def stale_reasons(records: Sequence[Record], folder: Path) -> list[str]:
    """What has changed since `records` were made, or between them: our files, or the data.

    Empty: nothing. A file counts only for trials that run through it: a new option of the
    transformer does not make the trials of a CNN stale.
    """
    known = load_sources(folder)
    changed: set[str] = set()
    reasons: set[str] = set()
    for record in records:
        files = changed_files(record, known)
        if files is None:
            reasons.add(f"made by code that is not known here ({known.state(record)})")
        else:
            changed |= files
    if changed:
        places = sorted(here().place(name) for name in changed)
        reasons.add(f"code changed since: {', '.join(places)}")
    if _data_changed(records):
        reasons.add("the data changed between trials")
    return sorted(reasons)


def current(records: Mapping[str, Record], folder: Path) -> dict[str, Record]:
    """Those of `records` that the code which is here now would give again, as far as is known."""
    known = load_sources(folder)
    return {key: record for key, record in records.items() if changed_files(record, known) == set()}


def changed_files(record: Record, known: Sources, tree: Tree | None = None) -> set[str] | None:
    """Files that the record's trial ran through and that differ in `tree`, which is the code here.

    None where the code that made it is not known. Empty, too, if a trial that takes the same way
    gave the same bits with the files as they are now.
    """
    tree = tree or here()
    # A class from elsewhere is no file of ours: its hash lies among the record's versions.
    for target, code in _target_now(record.section("norm")).items():
        if record.versions.get(target) != code:
            return {target}
    state = known.state(record)
    if state == tree.source:
        return set()
    before = known.hashes(state)
    if before is None:
        return None
    changed = _changed(record, before, tree)
    for other in known.reached(way_of(record.config), state) if changed else ():
        # That code gave the same bits. Has anything that the trial runs through changed since it?
        again = tree.hashes if other == tree.source else known.hashes(other)
        if again is not None and not _changed(record, again, tree):
            return set()
    return changed


class Files(NamedTuple):
    """The files, by first name, that a trial runs through."""

    named: frozenset[str]  # by its configuration, or by an import
    chosen: frozenset[str]  # perhaps: a trial of a claim's own may choose any norm by its name

    def all(self) -> frozenset[str]:
        return self.named | self.chosen


def files_of(config: Mapping[str, Json], tree: Tree) -> Files:
    """What a trial of `config` runs through."""
    # These groups make a training; what a claim measures itself has `options`.
    if "model" in config and "norm" in config:
        return Files(tree.closure(_roots_of_training(config)) - SET_ASIDE, frozenset())
    named, chosen = _closures_of_own_trial(config, tree)
    return Files(named - SET_ASIDE, chosen - named - SET_ASIDE)


def _changed(record: Record, before: Hashes, tree: Tree) -> set[str]:
    """Files that the trial runs through now and that were others then, or were not there."""
    files = files_of(record.config, tree)
    # A norm that is new has not been chosen.
    used = files.named | (files.chosen & before.keys())
    if "trial" not in record.config:
        # A file that is gone was used, as far as anyone can tell.
        used |= {name for name in before if name.startswith(_OF_TRAININGS) and tree.is_gone(name)}
    return {name for name in used if before.get(name) != tree.hashes.get(name)}


def _roots_of_training(config: Mapping[str, Json]) -> list[str]:
    norm, model, data = (_section(config, name) for name in ("norm", "model", "data"))
    evaluations = config.get("evaluations")
    names = evaluations if isinstance(evaluations, list) else []
    return [
        *_TRAINING,
        *(_IMAGES if data["name"] in IMAGE_SETS else _TEXTS),
        _norm_file(str(norm["kind"])),
        f"models/{model['name']}.py",
        *(first_name(f"training/evaluations/{MODULES[str(name)]}.py") for name in names),
    ]


def _closures_of_own_trial(
    config: Mapping[str, Json], tree: Tree
) -> tuple[frozenset[str], frozenset[str]]:
    """What the trial imports, and that with all that it could choose by name at run time."""
    trial = trial_name(str(config.get("trial")))
    if trial not in tree.trials:  # its file lies elsewhere: it may call any norm and model
        return frozenset(), tree.closure({*_norms(config), *tree.room("models")})
    choices = {
        NORM: _norms(config),
        MODEL: tree.room("models"),
        DATA: _data_files(config),
        EVALUATION: tree.room("training/evaluations"),
    }
    # What is chosen by name may itself choose by name: widened until nothing is added.
    roots = {trial}
    while True:
        files = tree.closure(roots)
        wider = roots.union(*(choices[chooser] for chooser in files & CHOOSERS))
        if wider == roots:
            return tree.closure({trial}), files
        roots = wider


def _norms(config: Mapping[str, Json]) -> frozenset[str]:
    """Every kind's file; the wrapper of a class from elsewhere only where the options name one."""
    # Searched as text: each claim nests its options in a way of its own.
    kinds = _files_of_kinds()
    return kinds | {CUSTOM} if '"target"' in json.dumps(config) else kinds


@cache
def _files_of_kinds() -> frozenset[str]:
    return frozenset(_norm_file(kind) for kind in declared_kinds())


def _norm_file(kind: str) -> str:
    # `custom` is declared nowhere: what runs is its wrapper.
    declared = declared_kinds().get(kind)
    return f"norms/{declared.path.name}" if declared else CUSTOM


def _data_files(config: Mapping[str, Json]) -> tuple[str, ...]:
    """The loaders of the data that the options name; where they name none, all."""
    # As text here, too: data are named by overrides somewhere in the options.
    named = re.findall(r'"data=(\w+)"', json.dumps(config))
    images = {name in IMAGE_SETS for name in named}
    if len(images) == 1:
        return _IMAGES if True in images else _TEXTS
    return _IMAGES + _TEXTS


def _section(config: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    group = config[name]
    assert isinstance(group, dict), f"{name} is no group of the configuration"
    return group


def _target_now(norm: Mapping[str, Json]) -> dict[str, str]:
    try:
        return target_hash(norm)
    except NormLabError:  # it lies elsewhere, on another machine say
        return {str(norm["target"]): ""}


def _data_changed(records: Iterable[Record]) -> bool:
    """Whether trials of the same data options read data of different fingerprints."""
    by_options: dict[str, set[str]] = defaultdict(set)
    for record in records:
        data = record.section("data")
        # Batches of another size are made of the same data.
        options = {name: value for name, value in data.items() if "batch_size" not in name}
        # Of a claim's own trial, which may measure on several data sets.
        own = record.config.get("options")
        name = json.dumps([options, own], sort_keys=True)
        by_options[name].add(record.data.get("fingerprint", ""))
    return any(len(fingerprints) > 1 for fingerprints in by_options.values())
