"""Configuration files: short, typed, each of them composes; and the packages they promise."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from packaging.requirements import Requirement
from packaging.version import Version

from normlab.config import cache
from normlab.config.compose import SCHEMAS, compose, compose_node, plain, to_dict, typed
from normlab.config.schema import Evaluation
from normlab.errors import NormLabError
from normlab.models import MODELS
from normlab.models.options import MODEL_CONFIGS
from normlab.training.evaluations import MODULES

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "conf").rglob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT / "conf")))
def test_files_are_short_and_commented(file):
    lines = file.read_text().splitlines()
    assert len(lines) <= 25
    assert lines[0].startswith("# ") and len(lines[0]) > 10


@pytest.mark.parametrize(
    "file", [f for f in FILES if f.parent.name != "conf"], ids=lambda f: f"{f.parent.name}={f.stem}"
)
def test_every_choice_composes_and_is_typed(file):
    group, choice = file.parent.name, file.stem
    node = compose_node([f"{group}={choice}"])
    schemas = [schema for (g, _), schema in SCHEMAS.items() if g == group]
    if schemas:
        keys = set(node[group])
        assert any(
            keys == {field.name for field in dataclasses.fields(schema)} for schema in schemas
        )
    value = getattr(typed(node), group)
    assert dataclasses.is_dataclass(value)
    if group in ("norm", "reparam"):
        assert value.kind == choice
    elif group in ("model", "data", "optim"):
        assert value.name == choice


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["norm=custom", "norm.target=a.b.C", "norm.options={a: [1, {b: 2.5}], c: null}"],
        ["norm=groupnorm", "reparam=weightnorm", "model=resnet", "data=cifar10", "trainer=gpu"],
        ["model=transformer", "model.placement=deepnorm", "evaluations=[stream,twice_context]"],
        ["data=pydoc_lines", "data.task=masked", "model=transformer", "optim=sgd"],
        ["logger=[csv,wandb]", "logger.wandb.tags=[a,b]", "probes=[activations]", "claim=x"],
        ["data.styles=[1,2]", "optim.clip_norm=1", "trainer.max_epochs=2"],
    ],
)
def test_types_change_no_value(overrides):
    """What is hashed into a trial's key: plain values, the same with the types and without."""
    node = compose_node(overrides)
    cfg = typed(node)
    assert to_dict(cfg) == plain(node)
    assert json.dumps(to_dict(cfg), sort_keys=True) == json.dumps(plain(node), sort_keys=True)
    # A record holds these values, and is read back as the same configuration.
    assert typed(OmegaConf.create(json.loads(json.dumps(to_dict(cfg))))) == cfg


def test_a_record_of_an_older_version_takes_the_defaults_of_what_it_does_not_know():
    cfg = compose(["optim.lr=0.3"])
    values = to_dict(cfg)
    del values["trainer"]["timeout_s"], values["probes"], values["data"]["styles"]
    assert typed(OmegaConf.create(values)) == cfg


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("model.name", "vgg", "unknown model 'vgg': choose one of plaincnn"),
        ("data.name", "mnist", "unknown data set 'mnist': choose one of digits"),
        ("optim.name", "lion", "unknown optimizer 'lion': choose one of sgd, adamw"),
        ("model.dept", 3, "dept"),
        ("optim.lr", "fast", "fast"),
        ("colour", "red", "unknown key 'colour'"),
    ],
)
def test_values_without_types_are_checked_like_overrides(key, value, words):
    node = OmegaConf.create(to_dict(compose()))
    OmegaConf.update(node, key, value)
    with pytest.raises((NormLabError, OmegaConfBaseException), match=words):
        typed(node)


def test_a_key_that_is_added_deep_inside_a_group_is_refused():
    compose(["norm=custom", "norm.target=a.B", "+norm.options.sizes.low=1"])  # the class's own
    with pytest.raises(NormLabError, match=r"'logger\.wandb\.foo': choose one of project, group"):
        compose(["logger=wandb", "+logger.wandb.foo=1"])


def test_kept_configurations_are_those_of_the_libraries_that_composed_them(monkeypatch):
    now = cache._digest()
    assert cache._digest() == now
    for library in ("hydra-core", "omegaconf"):
        other = {"hydra-core": "1", "omegaconf": "1", library: "2"}
        monkeypatch.setattr(cache, "version", dict.fromkeys(other, "1").__getitem__)
        before = cache._digest()
        monkeypatch.setattr(cache, "version", other.__getitem__)
        assert cache._digest() != before


def test_names_mean_the_same_in_every_room():
    assert set(MODEL_CONFIGS) == set(MODELS)
    assert {evaluation.value for evaluation in Evaluation} == set(MODULES)
    for choice in Evaluation:
        assert choice.name == choice.value


def test_normalization_batch_is_that_of_the_ghosts_or_the_whole():
    assert compose(["data.batch_size=24"]).normalization_batch == 24
    ghosts = compose(["data.batch_size=24", "norm=batchnorm", "norm.ghost_batch=4"])
    assert ghosts.normalization_batch == 4


@pytest.mark.parametrize(
    ("modules", "kept_out"),
    [
        ("normlab.config.schema", "torch hydra omegaconf"),
        ("normlab.config.compose normlab.config.cache normlab.train.launch", "torch lightning"),
        ("normlab.data normlab.models normlab.training.processes", "torch hydra omegaconf"),
        (
            "normlab.training.step normlab.training.optim normlab.training.setup "
            "normlab.training.running_statistics normlab.training.trained_model "
            "normlab.training.evaluations.batching normlab.training.evaluations.reevaluation "
            "normlab.training.evaluations.lengths normlab.training.evaluations.stream",
            "lightning torchvision hydra omegaconf",
        ),
        ("normlab.measure.networks normlab.measure.leak normlab.measure.timing.trials", "torch"),
    ],
)
def test_importing_a_part_costs_no_more_than_it_needs(modules, kept_out):
    names = ", ".join(modules.split())
    code = f"import sys, {names}; print([m for m in {kept_out.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_transformer_brings_its_own_defaults_unless_told_otherwise():
    cfg = compose(["model=transformer"])
    assert (cfg.data.name, cfg.optim.name, cfg.norm.kind) == ("pydoc", "adamw", "layernorm")
    cfg = compose(["model=transformer", "norm=rmsnorm", "data=tiny_shakespeare", "optim=sgd"])
    assert (cfg.data.name, cfg.optim.name, cfg.norm.kind) == ("tiny_shakespeare", "sgd", "rmsnorm")


def requirements(lines):
    return {r.name.lower().replace("_", "-"): r for r in map(Requirement, lines)}


def of_extra(project, name):
    """What an extra asks for, and the extras of this package that it names."""
    for line in project["optional-dependencies"][name]:
        own = re.fullmatch(r"normlab\[(.*)\]", line)
        for other in own[1].split(",") if own else ():
            yield from of_extra(project, other)
        if not own:
            yield line


def test_environment_and_requirements_keep_what_the_package_asks_for():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = requirements([*project["dependencies"], *of_extra(project, "dev")])
    pinned = requirements(
        line
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
    conda = requirements(
        re.findall(r"^ +- ([\w.-]+[<>=!~].*)$", (ROOT / "environment.yml").read_text(), re.M)
    )
    conda["torch"] = conda.pop("pytorch")
    assert (
        conda.pop("python").specifier
        == Requirement(f"python{project['requires-python']}").specifier
    )
    for name, requirement in wanted.items():
        (exact,) = pinned[name].specifier
        assert exact.operator == "=="
        assert exact.version in requirement.specifier, (
            f"{name} {exact.version} is pinned against {requirement}"
        )
        if name != "pip-tools":  # only for compiling requirements.txt
            assert conda[name].specifier == requirement.specifier, name
    # torchvision 0.N is built for torch 2.(N - 15): the two must be a pair in every file.
    for source in (wanted, conda, pinned):
        torch, vision = (
            Version(next(iter(source[name].specifier)).version) for name in ("torch", "torchvision")
        )
        assert torch.major == 2 and vision.minor - torch.minor == 15


def test_no_hosts_and_no_absolute_paths_in_requirements():
    text = (ROOT / "requirements.txt").read_text() + (ROOT / "environment.yml").read_text()
    assert not re.search(r"https?://|--index-url|--find-links|file://|(^|\s)/\w", text)
