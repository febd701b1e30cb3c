"""Configuration files: short, typed, each of them composes; and the packages they promise."""

import dataclasses
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from normlab.config.schema import SCHEMAS, compose, to_dict

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
    overrides = {
        "imagefolder": ["data.path=x"], "textfile": ["data.path=x"],
    }.get(choice, [])  # fmt: skip
    cfg = compose([f"{group}={choice}", *overrides])
    to_dict(cfg)
    schemas = [schema for (g, _), schema in SCHEMAS.items() if g == group]
    if schemas:
        keys = set(cfg[group])
        assert any(
            keys == {field.name for field in dataclasses.fields(schema)} for schema in schemas
        )
    if group in ("norm", "reparam"):
        assert cfg[group].kind == choice
    elif group in ("model", "data", "optim"):
        assert cfg[group].name == choice


def test_transformer_brings_its_own_defaults_unless_told_otherwise():
    cfg = compose(["model=transformer"])
    assert (cfg.data.name, cfg.optim.name, cfg.norm.kind) == ("pydoc", "adamw", "layernorm")
    cfg = compose(["model=transformer", "norm=rmsnorm", "data=tiny_shakespeare", "optim=sgd"])
    assert (cfg.data.name, cfg.optim.name, cfg.norm.kind) == ("tiny_shakespeare", "sgd", "rmsnorm")


def requirements(lines):
    return {r.name.lower().replace("_", "-"): r for r in map(Requirement, lines)}


def test_environment_and_requirements_keep_what_the_package_asks_for():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = requirements(project["dependencies"] + project["optional-dependencies"]["dev"])
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
