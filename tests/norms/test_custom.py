"""norm=custom: a layer from elsewhere, what is measured of it, and what is refused."""

import sys
from pathlib import Path

import pytest
import torch
from norm_cases import case_id
from omegaconf import OmegaConf
from torch import nn

from normlab.claims.staleness import changed_files
from normlab.errors import NormLabError
from normlab.norms import KINDS, NormSpec, make_norm, spec_of
from normlab.norms.properties import CHANNELS, SHAPES, measured_spec
from normlab.norms.spec import GUEST_LAYOUTS
from normlab.records.provenance import load_sources
from normlab.records.record import Record, trial_key

FILE = """
import torch
from torch import nn
from normlab.norms import NormSpec

EVERYTHING = dict(
    centred=True, scaled=True, batch_dependent=True, train_eval_differ=True, causal_safe=True,
    has_shift=True,
)
NOTHING = dict.fromkeys(EVERYTHING, False)

class Softened(nn.Module):
    def __init__(self, num_features, layout, alpha=1.0):
        super().__init__()
        self.dim = 2 if layout == "NTC" else 1
        self.shape = (num_features, 1, 1) if layout == "NCHW" else (num_features,)
        self.alpha = alpha
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, x):
        y = x / (self.alpha + x.abs().mean(self.dim, keepdim=True))
        return y * self.weight.view(self.shape) + self.bias.view(self.shape)

class Declared(nn.Identity):
    spec = NormSpec(**EVERYTHING, layouts=("NC",))
    def __init__(self, num_features):
        super().__init__()

class Lying(nn.Module):
    spec = NormSpec(**{**EVERYTHING, "batch_dependent": False}, layouts=("NCHW",))
    def __init__(self, num_features):
        super().__init__()
        self.norm = nn.BatchNorm2d(num_features)

    def forward(self, x):
        return self.norm(x)

class Leaking(nn.Module):
    spec = NormSpec(**{**NOTHING, "causal_safe": True}, layouts=("NTC",))
    def __init__(self, num_features, layout):
        super().__init__()
        self.dim = {"NC": 0, "NTC": 1, "NCHW": 2}[layout]

    def forward(self, x):
        return x - x.mean(self.dim, keepdim=True)

class Refusing(nn.Module):
    def __init__(self, num_features, axes=(1,)):
        super().__init__()
        if not isinstance(axes, (list, tuple)) or num_features % 2:
            raise ValueError("an even number is needed")

    def forward(self, x):
        return 2 * x / x.abs().amax(1, keepdim=True)

class Narrowing(nn.Module):
    def __init__(self, num_features):
        super().__init__()

    def forward(self, x):
        return x[:, :1]

def function(num_features):
    return 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module with layers of a user's, in the working folder."""
    name = f"my_norms_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(FILE)
    (tmp_path / f"{name}_broken.py").write_text("class Any(:")
    (tmp_path / f"{name}_needy.py").write_text("import no_such_module_of_mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


@pytest.mark.parametrize("kind", KINDS, ids=case_id)
def test_what_is_measured_is_what_every_kind_declares(kind):
    spec = KINDS[kind]
    assert measured_spec(lambda layout: make_norm(kind, CHANNELS, layout), spec.options) == spec


def test_layers_of_torch_are_measured_where_they_fit():
    batch = spec_of("custom", target="torch.nn.BatchNorm2d")
    assert batch.layouts == ("NCHW",)
    assert batch.batch_dependent and batch.train_eval_differ and batch.has_shift
    layer = spec_of("custom", target="torch.nn.LayerNorm")
    assert layer.layouts == ("NC", "NTC") and layer.causal_safe and not layer.batch_dependent


@pytest.mark.parametrize("layout", GUEST_LAYOUTS)
def test_a_layer_is_told_its_layout_and_options(module, layout):
    norm = make_norm(
        "custom", CHANNELS, layout, target=f"{module}.Softened", options={"alpha": 2.0}
    )
    x = torch.randn(SHAPES[layout], dtype=torch.bfloat16)
    dim = 2 if layout == "NTC" else 1
    wanted = x / (2 + x.abs().mean(dim, keepdim=True))
    assert norm(x).dtype == torch.bfloat16
    torch.testing.assert_close(norm(x), wanted, rtol=1e-2, atol=1e-2)
    spec = spec_of("custom", target=f"{module}.Softened", options={"alpha": 2.0})
    assert spec.layouts == GUEST_LAYOUTS and spec.causal_safe and spec.has_shift and not spec.scaled


def test_what_a_layer_declares_counts(module):
    declared = NormSpec(
        centred=True,
        scaled=True,
        batch_dependent=True,
        train_eval_differ=True,
        causal_safe=True,
        has_shift=True,
        layouts=("NC",),
        options=("target", "options"),
    )
    assert spec_of("custom", target=f"{module}.Declared") == declared
    x = torch.randn(3, 8)
    assert make_norm("custom", 8, "NC", target=f"{module}.Declared")(x).equal(x)
    with pytest.raises(NormLabError, match=r"cannot take layout NTC .* choose one of NC"):
        make_norm("custom", 8, "NTC", target=f"{module}.Declared")


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (None, "needs norm.target="),
        ("Mine", "needs norm.target="),
        ("no_such_module.Mine", "no module 'no_such_module'"),
        ("{module}.Mine", "has no 'Mine'"),
        ("{module}.function", "makes a int"),
        ("{module}.Narrowing", "a norm keeps the shape"),
        ("torch.nn.MultiheadAttention", "cannot be built with"),
        ("{module}.Lying", "declares batch_dependent=False"),
        ("{module}.Leaking", "declares causal_safe=True"),
        ("{module}_broken.Any", "not Python|raises SyntaxError"),
        ("{module}_needy.Any", "raises ModuleNotFoundError"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(module, target, sentence):
    with pytest.raises(NormLabError, match=sentence):
        make_norm("custom", 8, "NCHW", target=target and target.format(module=module))


def test_trains_and_a_change_of_its_file_makes_the_record_stale(module, train, tmp_path):
    custom = ("norm=custom", f"norm.target={module}.Softened", "norm.options={alpha: 0.5}")
    done = train(*custom, "trainer.max_steps=60", "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    record = Record.read(tmp_path / "run" / "record.json")
    assert record.status == "ok" and record.config["norm"]["options"] == {"alpha": 0.5}
    known = load_sources(tmp_path)
    assert changed_files(record, known) == set()
    file = Path(f"{module}.py")
    file.write_text(file.read_text().replace("x.abs()", "x.square()"))
    assert changed_files(record, known) == {f"{module}.Softened"}


def test_bad_options_end_in_a_sentence(module, train):
    done = train(
        "norm=custom",
        f"norm.target={module}.Softened",
        "norm.options={beta: 1}",
        "trainer.max_steps=2",
    )
    assert done.returncode == 2 and "'beta'" in done.stderr and "Traceback" not in done.stderr


def test_options_may_be_lists_and_what_a_layer_raises_is_said(module):
    options = OmegaConf.create({"axes": [1, 2]})
    norm = make_norm("custom", 8, "NC", target=f"{module}.Refusing", options=options)
    assert norm(torch.ones(2, 8)).sum() == 32
    with pytest.raises(NormLabError, match="ValueError: an even number"):
        make_norm("custom", 7, "NC", target=f"{module}.Refusing")
    with pytest.raises(NormLabError, match="give names and values"):
        spec_of("custom", target=f"{module}.Refusing", options=3)


def test_a_changed_class_is_another_trial(module):
    config = {"norm": {"kind": "custom", "target": f"{module}.Softened"}}
    before = trial_key(config)
    other = {"norm": {"kind": "custom", "target": "no_such.Softened"}}
    assert before == trial_key(config) != trial_key(other)
    file = Path(f"{module}.py")
    file.write_text(file.read_text().replace("x.abs()", "x.square()"))
    assert trial_key(config) != before


def test_a_layer_of_modules_inside_keeps_its_wide_parameters_in_half():
    norm = make_norm("custom", 8, "NTC", target="torch.nn.LayerNorm").half()
    assert isinstance(norm.layer, nn.LayerNorm)
    assert norm(torch.randn(2, 3, 8, dtype=torch.float16)).dtype == torch.float16
