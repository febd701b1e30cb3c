"""The hash of code changes with what can change a result, and with nothing else."""

import pytest

from normlab.records.code_hash import file_hash, module_code, trial_code, with_c_sources
from normlab.records.moves import Modules
from normlab.records.places import PACKAGE

MODULES = Modules(PACKAGE)


def code(text):
    return module_code(text, MODULES)


def trial(text):
    return trial_code(text, MODULES)


SAME = {
    "docstring": ("def f(x):\n    return x", 'def f(x):\n    """Of x."""\n    return x'),
    "comment and layout": ("a = f(1, 2)", "a = f(\n    1,  # one\n    2,\n)"),
    "annotations": (
        "def f(x):\n    y = x\n    return y",
        "def f(x: int) -> int:\n    y: int = x\n    return y",
    ),
    "generic function": ("def f(x):\n    g()", "T = TypeVar('T')\ndef f(x: T) -> T:\n    g()"),
    "name of a type": ("a = 1", "Values = Callable[[int], float]\na = 1"),
    "union": ("a = 1", "Text = str | None\na = 1"),
    "union of classes": ("a = 1", "Text = torch.Tensor | None\na = 1"),
    "type by its module": ("a = 1", "Text = typing.Union[int, str]\na = 1"),
    "cast": ("a = f(b)", "from typing import cast\na = f(cast(int, b))"),
    "assertion": ("a = b", "assert isinstance(b, int)\na = b"),
    "words of an error": ('raise E("one")', 'raise E(f"{two}") from None'),
    "buffer of a module": ("class A(B):\n    x = 1", "class A(B):\n    y: Tensor\n    x = 1"),
    "overload": ("def f(x):\n    g()", "@overload\ndef f(x: int) -> int: ...\ndef f(x):\n    g()"),
    "protocol": ("a = 1", "class P(Protocol):\n    def f(self) -> int: ...\na = 1"),
    "type checkers": ("a = 1", "if TYPE_CHECKING:\n    from torch import Tensor\na = 1"),
    "import for types": (
        "def f(x):\n    g()",
        "from torch import Tensor\ndef f(x: Tensor):\n    g()",
    ),
    "place of an import": (
        "def f(x):\n    from math import log\n    return log(x)",
        "from math import log\ndef f(x):\n    return log(x)",
    ),
    "exports": ("a = 1", '__all__ = ["a"]\na = 1'),
    "moved module": (
        "from normlab.training.shift import predictions\na = predictions",
        "from normlab.training.evaluations.shift import predictions\na = predictions",
    ),
    "moved module as a whole": (
        "from normlab.bench import steps as models\na = models.f",
        "from normlab.measure.timing import steps as models\na = models.f",
    ),
    "handed on by a package": (
        "from normlab.norms import Norm\na = Norm",
        "from normlab.norms.base import Norm\na = Norm",
    ),
    "room that computes nothing": (
        "from normlab.config import compose\na = compose",
        "from normlab.config.compose import compose\na = compose",
    ),
}  # fmt: skip
OTHER = {
    "number": ("a = 1", "a = 1.0"),
    "name": ("a = b", "a = c"),
    "order": ("f()\ng()", "g()\nf()"),
    "default": ("def f(x=1):\n    return x", "def f(x=2):\n    return x"),
    "keyword": ("f(x)", "f(y=x)"),
    "key without a name": ("{**a, 'b': 1}", "{'b': 1, **a}"),
    "decorator": ("def f():\n    return 1", "@cache\ndef f():\n    return 1"),
    "field": ("@dataclass\nclass A:\n    x: int", "@dataclass\nclass A:\n    y: int"),
    "kind of error": ("raise A(1)", "raise B(1)"),
    "condition": ("if a:\n    f()", "if not a:\n    f()"),
    "else of what type checkers read": (
        "if TYPE_CHECKING:\n    a = 1\nelse:\n    a = 2",
        "if TYPE_CHECKING:\n    a = 1\nelse:\n    a = 3",
    ),
    "module": (
        "from normlab.training.optim import f\nf()",
        "from normlab.training.step import f\nf()",
    ),
    "library": ("from math import f\nf()", "from cmath import f\nf()"),
    "imported name": ("from math import f\nf()", "from math import g as f\nf()"),
    "for what it does": ("a = 1", "import normlab.models.torchvision_operators\na = 1"),
    "string": ("a = 'b'", "a = 'c'"),
    "item of a list by the name of a type": ("a = 1", "a = 1\nb = self.list[0]"),
    "item of a call of a type": ("a = list(b)[0]", "a = list(b)[1]"),
    "union with a value": ("a = 1", "a = 1\nb = a | None"),
    "union with a constant": ("a = 1", "a = 1\nb = FLAGS | None"),
    "cast of somebody else's": ("a = f(table.cast(b, c))", "a = f(c)"),
    "call of a type": ("a = list(b)", "a = set(b)"),
}


@pytest.mark.parametrize("texts", SAME.values(), ids=SAME)
def test_the_same_code_has_the_same_hash(texts):
    one, other = map(code, texts)
    assert one.hash == other.hash


@pytest.mark.parametrize("texts", OTHER.values(), ids=OTHER)
def test_other_code_has_another_hash(texts):
    one, other = map(code, texts)
    assert one.hash != other.hash


def test_files_that_code_takes_from_go_by_their_first_names():
    text = (
        "from normlab.norms import Norm, make_norm\n"
        "from normlab.measure.timing import steps\n"
        "from normlab.errors import NormLabError\n"
        "from normlab.data.text import TextData\n"
        "def f(x: TextData):\n    from normlab.measure.leak import losses\n"
        "    return losses(steps, make_norm, Norm)\n"
    )
    taken = {"norms/base.py", "norms/__init__.py", "bench/steps.py", "claims/leak.py"}
    assert code(text).modules == taken


EXPERIMENT = '''"""Doc."""
from math import exp, log
from normlab.claims.claim import Claim
from normlab.measure.leak import losses
from normlab.training.step import evaluate

FACTOR = 2
RULE = exp(1)
SIZES = [1]
SIZES[0] = 3
BASE = 5
POWERS = {n: BASE**n for n in range(3)}
ROUNDS = 7


def helper(x, rounds=ROUNDS):
    part = FACTOR * x
    return part


def part(evidence):
    return evaluate(RULE)


def trial(options, seed):
    return {"loss": helper(log(losses(options))) + SIZES[0] + POWERS[2]}


CLAIM = Claim(slug="toy", trial=trial, parts=(part,), caveats=("one",))
'''
MEASURES = (
    ("FACTOR = 2", "FACTOR = 3"),
    ("part = FACTOR", "part = 1 + FACTOR"),
    ("SIZES[0] = 3", "SIZES[0] = 4"),
    ("BASE = 5", "BASE = 6"),
    ("ROUNDS = 7", "ROUNDS = 8"),
    ("helper(log", "helper(1 + log"),
    ("normlab.measure.leak", "normlab.measure.states"),
    ("import exp, log", "import exp, log10 as log"),
    ("trial=trial", "trial=helper"),
)
DECIDES = (
    ("Doc", "Other"),
    ('"one"', '"two"'),
    ("exp(1)", "exp(2)"),
    ("evaluate(RULE)", "evaluate(2 * RULE)"),
    ("from normlab.training.step", "from normlab.training.fit"),
    ("parts=(part,)", "parts=(part, part)"),
    ("options, seed", "options: dict[str, int], seed: int"),
)


@pytest.mark.parametrize("change", MEASURES, ids=str)
def test_what_a_trial_measures_with_counts(change):
    assert trial(EXPERIMENT).hash != trial(EXPERIMENT.replace(*change)).hash


@pytest.mark.parametrize("change", DECIDES, ids=str)
def test_what_decides_of_it_does_not_count(change):
    before, after = trial(EXPERIMENT), trial(EXPERIMENT.replace(*change))
    assert before == after and after.modules == {"claims/leak.py"}


def test_an_import_inside_a_try_counts_for_all_of_the_file():
    whole = "from normlab.measure.leak import losses\n"
    guarded = f"try:\n    {whole}except ImportError:\n    losses = None\n"
    one = trial(EXPERIMENT.replace(whole, guarded))
    other = trial(EXPERIMENT.replace(whole, guarded.replace("measure.leak", "measure.states")))
    assert one.modules == {"claims/leak.py"} and one.hash != other.hash


def test_an_experiment_without_a_trial_measures_nothing():
    assert trial(EXPERIMENT.replace("trial=trial, ", "")) is None


def test_the_hash_in_keys_stays_that_of_version_1(tmp_path):
    """Keys of recorded norms from elsewhere hold it: another value would lose their records."""
    path = tmp_path / "norm.py"
    code = "class A:\n    def f(self, x: int) -> int:\n        return x  # x\n"
    path.write_text(f'"""Doc."""\n\n\n{code}')
    assert file_hash(path) == "168fb53b"


def test_c_files_belong_to_the_python_beside_them(tmp_path):
    """Without their comments and layout."""
    python = code("a = 1")
    assert with_c_sources(python, tmp_path) is python
    (tmp_path / "one.c").write_text("/* One. */\nint one = 1;\n")
    first = with_c_sources(python, tmp_path).hash
    assert first != python.hash
    (tmp_path / "one.c").write_text("int  one\n = 1; /* The\n first. */")
    assert with_c_sources(python, tmp_path).hash == first
    (tmp_path / "one.c").write_text("int one = 2;\n")
    assert with_c_sources(python, tmp_path).hash != first
