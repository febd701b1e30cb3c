"""A change in what a trial runs through makes its records stale; no other change does, and no move.

Changes are made in a copy of the package and the experiments, whose hashes are taken once.
"""

import ast
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

from normlab.claims.registry import load_all
from normlab.claims.staleness import changed_files, files_of
from normlab.config.cache import plain_config
from normlab.records import moves
from normlab.records.code_hash import trial_code
from normlab.records.places import EXPERIMENTS, PACKAGE, RESULTS
from normlab.records.provenance import Sources, load_sources
from normlab.records.record import Record
from normlab.records.store import Store
from normlab.records.tree import Tree, here, trial_name

CLAIMS = {claim.slug: claim for claim in load_all()}
TRAIN = sorted(slug for slug, claim in CLAIMS.items() if claim.trial is None)
MEASURE = sorted(slug for slug, claim in CLAIMS.items() if claim.trial is not None)


class Copy:
    """A copy of the package and the experiments, to be changed; `known` is how it was."""

    def __init__(self, folder: Path) -> None:
        self.package, self.experiments = folder / "normlab", folder / "experiments"
        for origin, copy in ((PACKAGE, self.package), (EXPERIMENTS, self.experiments)):
            shutil.copytree(origin, copy, ignore=shutil.ignore_patterns("__pycache__", "_shipped"))
        self.before = Tree(self.package, self.experiments)
        self.known = Sources({self.before.source: self.before.hashes})

    @contextmanager
    def edited(self, path: Path, edit):
        """The tree with `edit` made to the text of one file. The codes of all others are known."""
        text = path.read_text()
        changed = edit(text)
        assert changed != text
        path.write_text(changed)
        tree = Tree(self.package, self.experiments)
        tree._codes = {**self.before._codes}
        tree._trial_codes = {**self.before._trial_codes}
        tree._codes.pop(path, None)
        tree._trial_codes.pop(path, None)
        assert tree.hashes  # which reads all that is to be read of the files
        try:
            yield tree
        finally:
            path.write_text(text)

    def changed(self, slug: str, tree: Tree) -> set[str] | None:
        """What makes a record of the claim stale that was made before the edit."""
        record = Record("key", config_of(slug), code={"source": self.before.source})
        return changed_files(record, self.known, tree)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return Copy(tmp_path_factory.mktemp("copy"))


def config_of(slug):
    """Of one evaluation trial of the claim, as its record has it."""
    claim = CLAIMS[slug]
    protocol = claim.protocols.get("smoke") or next(iter(claim.protocols.values()))
    if claim.trial is None:
        arm = claim.arms[0]
        config = dict(plain_config(protocol.overrides + arm.overrides))
        return config | ({"evaluations": list(arm.evaluations)} if arm.evaluations else {})
    options = {**protocol.options, **claim.arms[0].options}
    return {"trial": slug, "version": claim.trial_version, "options": options, "seed": 0}


def doubled(function):
    """An edit: what `function` returns, times two."""

    class Doubled(ast.NodeTransformer):
        def visit_Return(self, node):
            node.value = ast.BinOp(ast.Constant(2), ast.Mult(), node.value)
            return node

    def edit(text):
        tree = ast.parse(text)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == function:
                Doubled().visit(node)
        return ast.unparse(ast.fix_missing_locations(tree))

    return edit


def grown(text):
    """An edit: one more statement."""
    return text + "\nCHANGED = 1\n"


def test_every_claim_trains_or_measures():
    assert TRAIN and MEASURE and len(TRAIN) + len(MEASURE) == len(CLAIMS)
    assert {trial_name(slug) for slug in MEASURE} <= here().trials.keys()


@pytest.fixture(scope="module")
def doubled_loss(copy):
    with copy.edited(copy.package / "training/step.py", doubled("loss_of")) as tree:
        return tree


@pytest.mark.parametrize("slug", TRAIN)
def test_a_doubled_loss_makes_every_training_stale(copy, doubled_loss, slug):
    assert copy.changed(slug, doubled_loss) == {"training/step.py"}


@pytest.mark.parametrize("slug", MEASURE)
def test_a_change_of_what_measures_makes_it_stale(copy, slug):
    """Each file of measure/ that the trial runs through, and the trial itself."""
    files = files_of(config_of(slug), copy.before).named
    measuring = files & set(copy.before.room("measure") + copy.before.room("measure/timing"))
    for name in measuring:
        with copy.edited(copy.before.files[name], grown) as tree:
            assert copy.changed(slug, tree) == {name}
    trial = trial_name(slug)
    path = copy.before.trials[trial]
    if "def trial(" in path.read_text():
        with copy.edited(path, doubled("trial")) as tree:
            assert copy.changed(slug, tree) == {trial}
    else:
        assert measuring, "a trial that lies nowhere"


@pytest.mark.parametrize("slug", sorted(CLAIMS))
def test_what_is_said_and_decided_makes_nothing_stale(copy, slug):
    """Every sentence of the claim, caveats and rules among them, and the file's docstring."""

    class Reworded(ast.NodeTransformer):
        def visit_Constant(self, node):
            return ast.Constant(node.value + "!") if isinstance(node.value, str) else node

        def visit_JoinedStr(self, node):
            return node

    def edit(text):
        tree = ast.parse(text)
        for node in tree.body:
            is_claim = isinstance(node, ast.Assign | ast.AnnAssign) and "CLAIM" in ast.unparse(node)
            if is_claim or isinstance(node, ast.Expr):
                Reworded().visit(node)
        return ast.unparse(ast.fix_missing_locations(tree))

    path = next(copy.experiments.rglob(f"{slug.replace('-', '_')}.py"))
    with copy.edited(path, edit) as tree:
        assert copy.changed(slug, tree) == set()


def test_a_change_elsewhere_makes_nothing_stale(tmp_path):
    """Of every file in the rooms that plan, decide, print and keep; but for shared protocols."""
    copy = Copy(tmp_path)
    rooms = ("records", "config", "claims", "report", "train", "cli")
    paths = [path for room in rooms for path in (copy.package / room).rglob("*.py")]
    paths = [path for path in paths if path.parent.name != "protocols"]
    assert len(paths) > 60
    for path in paths:
        path.write_text(grown(path.read_text()))
    tree = Tree(copy.package, copy.experiments)
    assert {slug for slug in CLAIMS if copy.changed(slug, tree) != set()} == set()


def test_a_trial_of_one_claim_is_no_other_s(copy):
    path = copy.before.trials[trial_name("bn-causal-leak")]
    with copy.edited(path, doubled("trial")) as tree:
        assert {slug for slug in CLAIMS if copy.changed(slug, tree)} == {"bn-causal-leak"}


def test_a_halved_loss_in_the_helper_of_one_claim_is_caught(copy):
    """The mean over twice as many sequences as there are."""
    mean = "for x, y in fresh) / len(fresh)"
    path = copy.package / "measure/leak.py"
    with copy.edited(path, lambda text: text.replace(mean, f"{mean} / 2")) as tree:
        changed = {slug: copy.changed(slug, tree) for slug in CLAIMS}
    assert {slug for slug, files in changed.items() if files} == {"bn-causal-leak"}
    assert changed["bn-causal-leak"] == {"claims/leak.py"}
    assert tree.place("claims/leak.py") == "measure/leak.py"


def test_a_rule_that_only_decides_is_no_part_of_the_trial(copy):
    path = copy.before.trials[trial_name("bn-causal-leak")]
    with copy.edited(path, doubled("below")) as tree:
        assert copy.changed("bn-causal-leak", tree) == set()


def test_a_moved_module_makes_nothing_stale(copy, monkeypatch):
    """training/optim.py elsewhere under another name, and everyone imports it from there."""
    texts = {path: path.read_text() for path in copy.package.parent.rglob("*.py")}
    old, new = copy.package / "training/optim.py", copy.package / "measure/descent.py"
    try:
        for path, text in texts.items():
            path.write_text(text.replace("normlab.training.optim", "normlab.measure.descent"))
        old.rename(new)
        moved = Tree(copy.package, copy.experiments)
        assert copy.changed(TRAIN[0], moved)  # while nobody has said so
        monkeypatch.setitem(moves.MOVED, "measure/descent.py", "training/optim.py")
        moved = Tree(copy.package, copy.experiments)
        assert moved.hashes == copy.before.hashes
        assert {slug for slug in CLAIMS if copy.changed(slug, moved) != set()} == set()
    finally:
        new.unlink(missing_ok=True)
        for path, text in texts.items():
            path.write_text(text)


def used(*overrides):
    return files_of(plain_config(overrides), here()).named


def test_a_training_depends_on_its_own_norm_model_data_and_evaluations():
    small = used("model=plaincnn", "norm=batchnorm", "norm.ghost_batch=2", "reparam=weightnorm")
    assert {"norms/batch.py", "norms/ghost.py", "models/layers.py", "reparam.py"} <= small
    assert {"training/step.py", "training/fit.py", "data/images.py"} <= small
    others = {"models/transformer.py", "models/mlp.py", "norms/group.py", "data/text.py"}
    assert not small & (others | {"training/shift.py", "norms/custom.py"})
    text = used("model=transformer", "norm=rmsnorm", "data=pydoc")
    assert {"data/text.py", "models/transformer.py", "norms/rms.py"} <= text
    assert not text & {"models/plaincnn.py", "data/images.py", "norms/batch.py"}
    assert "training/shift.py" in used("model=resnet", "norm=frn", "evaluations=[adaptation]")


def test_a_trial_that_chooses_by_name_counts_all_that_it_could_choose(copy):
    files = files_of(config_of("bn-causal-leak"), copy.before)
    assert {"claims/leak.py", "training/step.py", "models/__init__.py"} <= files.named
    assert {"norms/group.py", "models/transformer.py", "data/text.py"} <= files.chosen
    assert "data/images.py" not in files.all()  # its options name a text
    assert "norms/custom.py" not in files.all()  # and no class from elsewhere


def test_protocols_count_for_a_trial_that_takes_its_configuration_from_them(copy):
    with copy.edited(copy.package / "claims/protocols/documents.py", grown) as tree:
        changed = {slug: copy.changed(slug, tree) for slug in CLAIMS}
    assert {slug for slug, files in changed.items() if files} == {"nlp-batch-stats-unreliable"}


def test_a_norm_that_is_new_makes_no_trial_stale(copy):
    record = Record("key", config_of("bn-causal-leak"), code={"source": "before"})
    hashes = {name: value for name, value in copy.before.hashes.items() if name != "norms/frn.py"}
    assert changed_files(record, Sources({"before": hashes}), copy.before) == set()
    hashes.pop("claims/leak.py")  # where it measured by itself before, say
    assert changed_files(record, Sources({"before": hashes}), copy.before) == {"claims/leak.py"}


def test_a_file_that_is_gone_was_used(copy):
    gone = {"training/momentum.py": "00000000", "claims/gone.py": "00000000"}
    hashes = {**copy.before.hashes, **gone}
    record = Record("key", config_of(TRAIN[0]), code={"source": "before"})
    changed = changed_files(record, Sources({"before": hashes}), copy.before)
    assert changed == {"training/momentum.py"}


def test_code_that_is_not_known_is_not_current(copy):
    record = Record("key", config_of(TRAIN[0]), code={"source": "never seen"})
    assert changed_files(record, copy.known, copy.before) is None


def test_no_file_that_records_know_is_gone():
    """Whoever moves or renames a file of a room that computes adds it to `moves.MOVED`."""
    known = load_sources(RESULTS)
    names = set().union(*known.files.values(), *known.commits.values())
    assert {name for name in names if here().is_gone(name)} == set()


def test_the_code_of_every_record_is_known():
    known = load_sources(RESULTS)
    records = [record for record in Store(RESULTS).done().values() if record.stage == "evaluate"]
    states = {known.state(record) for record in records}
    assert states and [state for state in states if known.hashes(state) is None] == []


class Asked(moves.Modules):
    """Notes which modules are asked for."""

    def __init__(self, package):
        super().__init__(package)
        self.names = set()

    def origin(self, module, name):
        self.names.add(module)
        return super().origin(module, name)


@pytest.mark.parametrize("name", sorted(here().trials))
def test_a_trial_takes_nothing_from_rooms_whose_code_does_not_count(name):
    asked = Asked(PACKAGE)
    trial_code(here().trials[name].read_text(), asked)
    above = ("normlab.claims", "normlab.score.", "normlab.report", "normlab.train.", "normlab.cli")
    taken = {module for module in asked.names if module.startswith(above)}
    assert taken <= {"normlab.score.measures", "normlab.claims.protocols"}
