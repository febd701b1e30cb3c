"""Guests on the wrong axis, or that normalize nothing, are refused by name before they are used."""

import sys

import pytest
import torch

from normlab.cli.convert import convert
from normlab.config.compose import compose
from normlab.errors import NormLabError
from normlab.models import build_model
from normlab.norms import make_norm, spec_of
from normlab.score import run as score_run
from normlab.score.request import ScoreProfile, ScoreRequest
from normlab.training.setup import set_up

FILE = """
import torch
from torch import nn

class LastAxis(nn.Module):  # as x_transformers' SimpleRMSNorm
    def __init__(self, dim):
        super().__init__()
        self.scale = dim ** 0.5

    def forward(self, x):
        return nn.functional.normalize(x, dim=-1) * self.scale

class SecondAxis(LastAxis):
    def forward(self, x):
        return nn.functional.normalize(x, dim=1) * self.scale

class Standardized(LastAxis):  # over all of a sample
    def forward(self, x):
        return nn.functional.layer_norm(x, x.shape[1:])

class SequencesAlone(LastAxis):
    def forward(self, x):
        n, t, c = x.shape
        return nn.functional.normalize(x, dim=1)

class Told(nn.Module):
    def __init__(self, dim, layout):
        super().__init__()
        self.axis = {"NC": 1, "NCHW": 1, "NTC": 2}[layout]

    def forward(self, x):
        return nn.functional.normalize(x, dim=self.axis)

class InGroups(nn.Module):  # as timm's EvoNorm2dS0: an assertion of its own at other widths
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        assert x.shape[1] % 32 == 0, "no whole groups"
        return nn.functional.group_norm(x, 32, self.weight)

class Single(nn.Module):  # whose tensors have one dtype
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        y = nn.functional.normalize(x, dim=-1)
        return torch.addmv(torch.zeros(len(y), dtype=y.dtype), y, self.weight)[:, None] + y
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    name = f"my_guests_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(FILE)
    (tmp_path / f"{name}_needy").mkdir()
    (tmp_path / f"{name}_needy" / "__init__.py").write_text("import frozen_dictionary")
    (tmp_path / f"{name}_needy" / "inside.py").write_text("")
    (tmp_path / f"{name}_leaving.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


def layouts_of(target, **options):
    return spec_of("custom", target=target, options=options).layouts


@pytest.mark.parametrize(
    ("target", "layouts"),
    [
        ("torch.nn.InstanceNorm2d", ("NCHW",)),
        ("torch.nn.LocalResponseNorm", ("NCHW",)),
        ("torch.nn.BatchNorm1d", ("NC",)),
        ("torch.nn.BatchNorm2d", ("NCHW",)),
        ("torch.nn.LayerNorm", ("NC", "NTC")),
        ("torch.nn.RMSNorm", ("NC", "NTC")),
        ("{mine}.LastAxis", ("NC", "NTC")),
        ("{mine}.SecondAxis", ("NC", "NCHW")),
        ("{mine}.Standardized", ("NC", "NCHW", "NTC")),
        ("{mine}.Told", ("NC", "NCHW", "NTC")),
    ],
)
def test_layouts_are_those_whose_channels_are_channels(mine, target, layouts):
    assert layouts_of(target.format(mine=mine)) == layouts


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("torch.nn.InstanceNorm1d", "channels"),
        ("{mine}.SequencesAlone", "takes its channels from another axis than that of layout NTC"),
        ("torch.nn.PReLU", "normalizes nothing"),
        ("torch.nn.Identity", "normalizes nothing"),
        ("torch.nn.LeakyReLU", "normalizes nothing"),
        ("{mine}_needy.inside.Norm", "ModuleNotFoundError: No module named 'frozen_dictionary'"),
        ("no_such_package.inside.Norm", "no module 'no_such_package.inside'"),
    ],
)
def test_unfit_classes_are_refused_by_name(mine, target, words):
    target = target.format(mine=mine)
    with pytest.raises(NormLabError, match=words) as refused:
        layouts_of(target)
    assert target.rpartition(".")[0] in str(refused.value)


@pytest.mark.parametrize(
    ("target", "layout", "words"),
    [
        ("torch.nn.InstanceNorm2d", "NTC", "cannot take layout NTC with 8 channels"),
        ("torch.nn.LocalResponseNorm", "NTC", "takes its channels from another axis"),
        ("{mine}.LastAxis", "NCHW", "choose one of NC, NTC"),
        ("{mine}.InGroups", "NC", "no whole groups"),
        ("torch.nn.PReLU", "NCHW", "normalizes nothing"),
        ("torch.nn.Identity", "NC", "normalizes nothing"),
        ("math.pi", "NC", "is a float: name a class"),
        ("{mine}_needy.inside.Norm", "NC", "ModuleNotFoundError: No module named 'frozen_dict"),
        ("{mine}_leaving.Norm", "NC", "raises SystemExit: 3"),
        ("no_such_package.inside.Norm", "NC", "no module 'no_such_package.inside'"),
    ],
)
def test_layers_are_refused_where_they_are_made(mine, target, layout, words):
    target = target.format(mine=mine)
    with pytest.raises(NormLabError, match=f"norm.target={target}.*{words}"):
        make_norm("custom", 8, layout, target=target)


def test_what_is_tried_draws_no_number_and_counts_only_along_its_own_axis(mine):
    before = torch.get_rng_state()
    spec = spec_of("custom", target=f"{mine}.SecondAxis")
    assert torch.equal(before, torch.get_rng_state())
    # Along NTC's positions, where it runs too, it would show the future.
    assert spec.layouts == ("NC", "NCHW") and spec.causal_safe


def test_parameters_without_which_an_axis_cannot_be_told():
    """The same class with and without what it learns."""
    for affine in (False, True):
        assert layouts_of("torch.nn.InstanceNorm2d", affine=affine) == ("NCHW",)
    assert layouts_of("torch.nn.BatchNorm1d", affine=False, track_running_stats=False) == ("NC",)


@pytest.mark.parametrize(
    ("model", "modality", "shape", "target", "layout"),
    [
        ("transformer", "masked", (8, 20), "torch.nn.InstanceNorm2d", "NTC"),
        ("plaincnn", "image", (3, 8, 8), "{mine}.LastAxis", "NCHW"),
        ("plaincnn", "image", (3, 8, 8), "torch.nn.RMSNorm", "NCHW"),
    ],
)
def test_networks_refuse_the_layout_by_the_name_of_the_class(
    mine, model, modality, shape, target, layout
):
    target = target.format(mine=mine)
    cfg = compose([f"model={model}", "norm=custom", f"norm.target={target}"])
    with pytest.raises(
        NormLabError, match=f"{target} cannot take layout {layout} with .* one of N"
    ):
        build_model(cfg, modality, shape, 20)


@pytest.mark.parametrize(
    ("target", "overrides", "words"),
    [
        ("InGroups", ["model.width=16"], "AssertionError: no whole groups"),
        ("Single", ["model=mlp", "trainer.precision=bf16"], "RuntimeError"),
    ],
)
def test_a_guest_is_tried_at_the_width_and_dtype_that_it_will_have(mine, target, overrides, words):
    custom = ["norm=custom", f"norm.target={mine}.{target}"]
    with pytest.raises(NormLabError, match=rf"{mine}\.{target} .*{words}"):
        set_up(compose([*custom, *overrides]))
    fits = ["model.width=32"] if target == "InGroups" else ["model=mlp"]
    torch.manual_seed(0)
    setup = set_up(compose([*custom, *fits]))
    assert all(one.grad is None for one in setup.model.parameters())


@pytest.mark.parametrize(
    ("norm", "words"),
    [
        ("torch.nn.Identity", "normalizes nothing"),
        ("{mine}.InGroups", "cannot take layout NCHW with 8 channels.*no whole groups"),
        ("{mine}_needy.inside.Norm", "No module named 'frozen_dictionary'"),
    ],
)
def test_a_score_refuses_before_its_first_trial(mine, monkeypatch, tmp_path, norm, words):
    monkeypatch.setattr(score_run, "run_claims", lambda *a, **k: pytest.fail("it runs trials"))
    request = ScoreRequest(
        norm.format(mine=mine), against=(), profile=ScoreProfile.smoke, results=tmp_path / "r"
    )
    with pytest.raises(NormLabError, match=words):
        score_run.run_score(request)


def test_a_conversion_names_kinds_and_where_a_class_can_be_named():
    with pytest.raises(NormLabError, match=r"unknown norm 'torch\.nn\.RMSNorm'.*target="):
        convert([], to="torch.nn.RMSNorm")


def test_a_network_says_what_an_import_really_lacks(mine):
    cfg = compose(["norm=custom", f"norm.target={mine}_needy.inside.Norm"])
    with pytest.raises(NormLabError, match="No module named 'frozen_dictionary'"):
        build_model(cfg, "image", (3, 8, 8), 10)
