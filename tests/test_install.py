"""The package where it is installed: from a wheel, in an empty folder, and with torch alone."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from normlab.errors import EXTRA_OF

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# A model of a user's own, and the four tools; `fold` needs what `convert` replaces.
TOOLS = """
import torch, normlab
from torch import nn

def model():
    layers = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(8, 4))

x = torch.randn(4, 3, 8, 8)
assert normlab.make_norm("groupnorm", 32)(torch.randn(2, 32, 4, 4)).shape == (2, 32, 4, 4)
assert "1 of 1" in str(normlab.convert(model(), to="groupnorm"))
assert "1 norm layer" in str(normlab.audit(model(), x, batch_per_device=4))
assert torch.allclose(normlab.fold(given := model().eval()).model(x), given(x), atol=1e-5)
assert normlab.Claim.__name__ == "Claim"
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of a source distribution and of the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    for name in ("src", "conf", "experiments", "results", "tests"):
        left_out = shutil.ignore_patterns("__pycache__", "*.egg-info", "earlier", "_shipped")
        shutil.copytree(ROOT / name, source / name, ignore=left_out)
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "train.py"):
        shutil.copyfile(ROOT / name, source / name)
    command = ("-m", "build", "--no-isolation", "--skip-dependency-check", "--outdir", str(folder))
    quick = {**os.environ, "CFLAGS": "-O0"}
    subprocess.run(
        [sys.executable, *command, str(source)], check=True, capture_output=True, env=quick
    )
    return folder


@pytest.fixture(scope="module")
def site(built, tmp_path_factory):
    """A bare folder into which the wheel is installed, without what it depends on."""
    folder = tmp_path_factory.mktemp("site")
    command = ("-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target")
    (wheel,) = built.glob("*.whl")
    subprocess.run([sys.executable, *command, str(folder), str(wheel)], check=True)
    return folder


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """The folder that the commands are called in, one after another."""
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(scope="module")
def environment(site):
    return {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200", "WANDB_MODE": "offline"}


@pytest.fixture
def installed(normlab, empty, environment):
    """`normlab *arguments` of the installed package; its output."""

    def run(*arguments):
        done = normlab(*arguments, cwd=empty, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_wheel_holds_what_the_package_reads_and_nothing_else(built):
    (wheel,) = built.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    sources = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "normlab").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources <= names
    others = {name.removeprefix("normlab/_shipped/") for name in names - sources}
    built_here = (".dist-info/", "normlab/norms/kernels/_norms")
    others = {name for name in others if not any(part in name for part in built_here)}
    assert {"conf/config.yaml", "results/verdicts.json", "results/sources.json"} <= others
    assert len([name for name in others if name.startswith("experiments/")]) >= 77
    assert {name.partition("/")[0] for name in others} == {"conf", "experiments", "results"}
    assert not [name for name in others if "report" in name or "earlier" in name]
    assert wheel.stat().st_size < 4e6


def test_the_source_distribution_holds_no_tests(built):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert {"conf/config.yaml", "setup.py", "train.py"} <= names
    assert not [name for name in names if name.startswith(("tests", "results/report"))]


def test_its_command_lists_the_recorded_verdicts(site, empty, environment):
    """In an interpreter of its own, by the script that pip has made."""
    command = [sys.executable, str(site / "bin" / "normlab"), "list"]
    done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path = ROOT / "results" / "verdicts.json"
    recorded = {row["slug"]: row["verdict"] for row in json.loads(path.read_text())}
    lines = [line for line in done.stdout.splitlines() if line.startswith("  ")]
    listed = {line.split()[0]: line for line in lines}
    assert set(recorded) <= set(listed) and set(recorded.values()) > {"supported", "refuted"}
    for slug, verdict in recorded.items():
        assert verdict in listed[slug]


def test_recorded_evidence_is_shown(installed, empty):
    assert "rule: " in installed("show", "gn-extremes")
    (row,) = json.loads(installed("verdict", "gn-extremes", "--json"))
    assert row["verdict"] == "partly supported" and row["evidence"]
    # What is decided is written to the working folder, and read from there from now on.
    assert (empty / "results" / "verdicts.json").is_file()
    assert "gn-extremes" in installed("list")


def test_tools_rest_on_recorded_evidence(installed):
    situation = "--input images --batch 2 --length fixed --devices 1 --fold no"
    options = (*situation.split(), "--depth", "20", "--warmup", "no")
    assert "groupnorm" in installed("advise", *options)
    findings = installed("audit", "torchvision:resnet18", "--batch-per-device", "2")
    assert "finding" in findings and "not in the records" not in findings
    assert "20 of 20" in installed("convert", "torchvision:resnet18")


def test_trials_are_run_and_recorded_in_the_working_folder(installed, empty):
    said = installed("run", "gn-extremes", "--profile", "smoke", "--workers", "1")
    assert " 0 failed" in said and (empty / "runs" / "smoke" / "gn-extremes.jsonl").is_file()
    options = ("--against", "layernorm", "--profile", "smoke", "--untimed", "--workers", "1")
    assert " 0 failed" in installed("score", "groupnorm", *options)
    assert list((empty / "runs" / "smoke" / "report").glob("score-groupnorm.html"))


def test_it_trains_and_folds_what_it_has_trained(warm, installed, empty, environment):
    overrides = ("norm=batchnorm", "trainer.max_steps=4", "trainer.checkpoint_every=4")
    command = ("-m", "normlab.train", *overrides, "hydra.run.dir=trained")
    done = warm.run(*command, cwd=empty, env=environment)
    assert done.returncode == 0, done.stderr
    record = json.loads((empty / "trained" / "record.json").read_text())
    assert record["status"] == "ok" and record["code"]["git"] is None
    assert "folded" in installed("fold", "trained/last.ckpt")


def test_nothing_was_written_where_it_is_installed(built, site):
    """After all of the above."""
    (wheel,) = built.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("normlab/")}
    there = {
        path.relative_to(site).as_posix()
        for path in (site / "normlab").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert there == {name for name in names if not name.endswith("/")}


# Modules that an environment with torch and numpy alone does not have.
BROUGHT_ALONG = ("click", "lightning_fabric", "pandas", "pytorch_lightning", "torchmetrics", "yaml")
ABSENT = (*EXTRA_OF, *BROUGHT_ALONG)
WITHOUT = f"""
import importlib.machinery, sys

class Bare(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT}:
            return None
        return super().find_spec(name, path, target)

sys.meta_path = [Bare if one is importlib.machinery.PathFinder else one for one in sys.meta_path]
"""


def without_extras(code):
    return subprocess.run([sys.executable, "-c", WITHOUT + code], capture_output=True, text=True)


def test_tools_for_users_models_need_torch_alone():
    done = without_extras(TOOLS)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("code", "module", "extra"),
    [
        ("import normlab.cli; normlab.cli.main()", "typer", "cli"),
        ("import normlab.train; normlab.train.main()", "hydra", "train"),
    ],
)
def test_a_missing_extra_is_one_sentence_that_names_it(code, module, extra):
    done = without_extras(code)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    assert f"needs {module}" in line and f"pip install 'normlab[{extra}]'" in line


def test_the_callback_alone_needs_lightning():
    code = "import normlab\ntry:\n    normlab.AuditCallback\nexcept ValueError as e:\n    print(e)"
    assert "pip install 'normlab[train]'" in without_extras(code).stdout


def test_each_module_of_an_extra_is_named_with_the_smallest_extra_that_has_it():
    extras = PYPROJECT["project"]["optional-dependencies"]
    wanted = {
        normal(requirement): name
        for name, requirements in extras.items()
        for requirement in requirements
        if name not in ("all", "dev") and not requirement.startswith("normlab[")
    }
    distributions = importlib.metadata.packages_distributions()
    named = {}
    for module, extra in EXTRA_OF.items():
        named |= dict.fromkeys(map(normal, distributions[module]), extra)
    unnamed = {"ipykernel"}  # a kernel starts it; no code of ours imports it
    assert named == {name: extra for name, extra in wanted.items() if name not in unnamed}


def normal(requirement):
    """The name of a distribution, as packaging normalizes it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def test_a_training_step_imports_no_more_than_torch_does():
    code = (
        "import sys, torch\nbefore = set(sys.modules)\nimport normlab.training.step\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) - set(sys.stdlib_module_names) == {"normlab"}
