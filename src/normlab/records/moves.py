"""What each file is called in records, and which file an import takes from. Standard library only.

Wherever it lies today, a file keeps the first name that a record has of it, so that moving it makes
no record stale.
"""

import ast
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

# The rooms whose code computes what a trial gives, and what a score measures of a layer. Protocols
# count for a trial that takes part of its configuration from them, where no key has it.
ROOMS = ("norms", "models", "data", "training", "tools", "measure")
SCORE = "score/measures.py"
PROTOCOLS = "claims/protocols/"
SCORE_TRIALS = "score/trials"  # files like those of experiments/

# Files of rooms that compute, but which themselves only find, check, watch, store or divide.
ASIDE = frozenset(
    {
        "data/__init__.py",
        "data/availability.py",
        "data/cache.py",
        "data/dataset.py",
        "data/hub.py",
        "data/options.py",
        "models/options.py",
        "models/torchvision_operators.py",
        "norms/__init__.py",
        "norms/guests.py",
        "norms/make.py",
        "norms/registry.py",
        "training/__init__.py",
        "training/callbacks.py",
        "training/checkpoints.py",
        "training/evaluations/__init__.py",
        "training/lightning.py",
        "training/loggers.py",
        "training/parallel.py",  # of several processes, of which recorded trainings have none
        "training/probes.py",
    }
)
# Where a file lies now, or lay for a while -> its first name. Whoever moves a file adds a line.
MOVED = {
    "norms/autograd_functions.py": "norms/first_order.py",
    "norms/formulas.py": "norms/reference.py",
    "norms/guests.py": "models/guests.py",
    "norms/make.py": "norms/__init__.py",
    "norms/registry.py": "norm_files.py",
    "norms/reparametrizations.py": "reparam.py",
    "norms/shape_adapter.py": "any_shape.py",
    "models/torchvision_operators.py": "compat.py",
    "training/evaluations/__init__.py": "evaluations.py",
    "training/evaluations/batching.py": "training/batching.py",
    "training/evaluations/corruptions.py": "training/corruptions.py",
    "training/evaluations/lengths.py": "training/lengths.py",
    "training/evaluations/reevaluation.py": "training/reevaluation.py",
    "training/evaluations/shift.py": "training/shift.py",
    "training/evaluations/stream.py": "training/stream.py",
    "training/processes.py": "processes.py",
    "training/trained_model.py": "trained_model.py",
    "tools/advise/__init__.py": "advice/__init__.py",
    "tools/advise/answer.py": "advice/answer.py",
    "tools/advise/entry.py": "advice/entry.py",
    "tools/advise/judges.py": "advice/judges.py",
    "tools/advise/norm_entries.py": "advice/norm_entries.py",
    "tools/advise/situation.py": "advice/situation.py",
    "tools/advise/table.py": "advice/table.py",
    "tools/advise/table/__init__.py": "advice/table.py",
    "tools/advise/use_entries.py": "advice/use_entries.py",
    "tools/architectures.py": "claims/architectures.py",
    "tools/audit/__init__.py": "auditing/__init__.py",
    "tools/audit/callback.py": "auditing/callback.py",
    "tools/audit/causality.py": "auditing/causality.py",
    "tools/audit/finding.py": "auditing/finding.py",
    "tools/audit/modes.py": "auditing/modes.py",
    "tools/audit/numerics.py": "auditing/numerics.py",
    "tools/audit/placement.py": "auditing/placement.py",
    "tools/audit/statistics.py": "auditing/statistics.py",
    "tools/audit/subject.py": "auditing/subject.py",
    "tools/convert.py": "conversion.py",
    "tools/convert/model.py": "conversion.py",
    "tools/dataflow.py": "claims/dataflow.py",
    "tools/export.py": "exporting.py",
    "tools/fold/batch_norms.py": "fold_norms.py",
    "tools/fold/call_graph.py": "fold_graph.py",
    "tools/fold/graph.py": "fold_graph.py",
    "tools/fold/model.py": "folding.py",
    "tools/forward_pass.py": "model_calls.py",
    "tools/measured_norms.py": "measured_norms.py",
    "tools/model_calls.py": "model_calls.py",
    "tools/model_names.py": "model_names.py",
    "tools/norm_layers.py": "recognition.py",
    "tools/norm_placement.py": "claims/architectures.py",
    "tools/norm_probe.py": "measured_norms.py",
    "tools/recognise.py": "recognition.py",
    "tools/sample.py": "sample.py",
    "tools/tensor_graph.py": "claims/dataflow.py",
    "tools/zoo.py": "model_names.py",
    "measure/distributed.py": "claims/distributed.py",
    "measure/fluctuation.py": "claims/fluctuation.py",
    "measure/gradients.py": "training/gradients.py",
    "measure/leak.py": "claims/leak.py",
    "measure/low_precision.py": "claims/lowprec.py",
    "measure/networks.py": "claims/trained.py",
    "measure/quantised.py": "claims/quantised.py",
    "measure/random_networks.py": "claims/random_nets.py",
    "measure/states.py": "claims/states.py",
    "measure/timing/__init__.py": "bench/__init__.py",
    "measure/timing/conditions.py": "bench/conditions.py",
    "measure/timing/data_path.py": "bench/data_path.py",
    "measure/timing/depth.py": "bench/depth.py",
    "measure/timing/fold.py": "bench/fold.py",
    "measure/timing/harness.py": "bench/harness.py",
    "measure/timing/layers.py": "bench/layers.py",
    "measure/timing/lm_step.py": "bench/lm_step.py",
    "measure/timing/norms.py": "bench/norms.py",
    "measure/timing/startup.py": "bench/startup.py",
    "measure/timing/steps.py": "bench/steps.py",
    "measure/timing/syncbn.py": "bench/syncbn.py",
    "measure/timing/train_loop.py": "bench/train_loop.py",
    "measure/timing/trials.py": "claims/timings.py",
    "measure/trained.py": "claims/trained.py",
    "measure/unfolded.py": "claims/bn_left.py",
    "claims/protocols/documents.py": "claims/padding.py",
    "claims/protocols/text.py": "claims/text_profiles.py",
    "tools/replica.py": "tools/audit/replica.py",
}


def first_name(path: str) -> str:
    """Of a file below the package: what records call it."""
    return MOVED.get(path, path)


SET_ASIDE = frozenset(first_name(place) for place in ASIDE)


class Modules:
    """The files of a package, to find what an import takes."""

    def __init__(self, package: Path) -> None:
        self.package = package
        self._known = frozenset(MOVED) | frozenset(MOVED.values())

    def origin(self, module: str, name: str | None) -> tuple[str, str | None]:
        """(file, name) that `from module import name` takes: the file by first name.

        A module as a whole has no name. What a package, or a file set aside, only hands on is taken
        from where it is defined. Where the file is none that computes it is "normlab"; what is not
        ours stays as it is written.
        """
        if module.split(".")[0] != "normlab":
            return module, name
        path = module.removeprefix("normlab").strip(".").replace(".", "/")
        # `from normlab.measure import leak`: the name is a module itself.
        if name is not None and (inner := self._file(f"{path}/{name}")):
            return first_name(inner), None
        file = self._file(path)
        if file is None:
            return "normlab", name
        handed_on = self._handing_on.get(file, {}).get(name or "")
        # A name that a file imports from itself would be asked for without end.
        if handed_on is not None and handed_on != (module, name):
            return self.origin(*handed_on)
        return first_name(file), name

    def _file(self, path: str) -> str | None:
        """The file of a module that computes, `path` being its name with slashes; else None."""
        for file in (f"{path}.py", f"{path}/__init__.py"):
            # Former places as well: an import from before a move means the same file.
            if file in self._known or (computes(file) and file in self._files):
                return file
        return None

    @cached_property
    def _files(self) -> frozenset[str]:
        files = (path.relative_to(self.package) for path in self.package.rglob("*.py"))
        return frozenset(file.as_posix() for file in files)

    @cached_property
    def _handing_on(self) -> Mapping[str, Mapping[str, tuple[str, str | None]]]:
        """By file: what each name that it imports is, for type checkers too."""
        names = {}
        for file in self._files:
            if computes(file) and (file.endswith("/__init__.py") or file in ASIDE):
                names[file] = _imported(self.package / file)
        return names


def computes(file: str) -> bool:
    """Whether the code of a file below the package, by where it lies now, can change a result."""
    return file.split("/")[0] in ROOMS or file == SCORE or file.startswith(PROTOCOLS)


def _imported(path: Path) -> dict[str, tuple[str, str | None]]:
    imported: dict[str, tuple[str, str | None]] = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level:
            for item in node.names:
                imported[item.asname or item.name] = node.module or "", item.name
        elif isinstance(node, ast.Import):
            for item in node.names:
                # `import a.b` binds `a` alone, which leads to no file.
                if item.asname:
                    imported[item.asname] = item.name, None
    return imported
