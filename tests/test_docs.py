"""What README.md, CONTRIBUTING.md and docs/ show can be run: commands at small sizes, and code."""

import re
import subprocess
from pathlib import Path

import pytest
import torch
import typer.main
from shown_commands import (
    LEFT_OUT,
    LEFT_OUT_EXACTLY,
    LEFT_OUT_WITH,
    PAGES,
    ROOT,
    SMALL,
    Command,
    commands,
    demo,
    each_once,
    fenced,
)
from torch import nn
from warm import Warm, training_environment

from normlab.claims.registry import slugs
from normlab.cli import app
from normlab.config.compose import check_keys, compose_node

ALL = [command for page in PAGES for command in commands(page)] + demo()
TRAININGS = [command for command in ALL if command.trains]
RUN = each_once(ALL)
OF_NORMLAB = [command for command in ALL if command.words[0] == "normlab"]

# The class that the pages call my_package.my_module.MyNorm.
MY_NORM = """
from torch import nn


class MyNorm(nn.Module):
    def __init__(self, num_features, alpha=1.0):
        super().__init__()
        self.alpha = alpha

    def forward(self, x):
        return self.alpha * x / (1 + x.abs())
"""


def test_the_pages_show_commands():
    assert {command.page for command in ALL} >= {"README.md", "Makefile", "train.md", "tools.md"}
    assert len(TRAININGS) > 10 and len(OF_NORMLAB) > 20


@pytest.mark.parametrize("command", OF_NORMLAB, ids=str)
def test_a_command_of_normlab_has_these_options(command):
    """Parsed as the command line would, left out or not; nothing runs."""
    group = typer.main.get_command(app)
    name, *rest = command.words[1:]
    with group.make_context("normlab", [name, *rest], resilient_parsing=True) as context:
        context.params.clear()
        _, found, rest = group.resolve_command(context, [name, *rest])
        assert found is not None, f"there is no command {name}"
        parsed = found.make_context(name, list(rest), parent=context).params
    named = [*(parsed.get("slugs") or []), *([parsed["slug"]] if "slug" in parsed else [])]
    assert set(named) <= {*slugs(), "gn-beats-in"}


@pytest.mark.parametrize("command", TRAININGS, ids=str)
def test_a_training_has_these_keys(command):
    """Composed as train.py would; of a sweep the first job."""
    words = [word for word in command.words[2:] if not word.startswith(("hydra", "-"))]
    overrides = [re.sub(r"^([^=\[{]+=[^,\[{]+),.*", r"\1", word) for word in words if word != "job"]
    check_keys(compose_node(overrides))


def test_what_is_left_out_or_made_small_is_shown():
    for beginning in {**LEFT_OUT, **LEFT_OUT_EXACTLY, **SMALL}:
        assert any(command.begins(beginning) for command in ALL), f"{beginning!r} is on no page"
    for word in LEFT_OUT_WITH:
        assert any(word in command.words for command in ALL), f"{word!r} is on no page"


@pytest.mark.parametrize("page", dict.fromkeys(command.page for command in RUN))
def test_commands_run(page, warm, tmp_path):
    """In one folder, in the order of the page: a command may use what one before it made."""
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "my_module.py").write_text(MY_NORM)
    for name in ("train.py", "scripts"):
        (tmp_path / name).symlink_to(ROOT / name)
    for command in RUN:
        if command.page == page:
            done = run(command, warm, tmp_path)
            assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def run(command: Command, warm: Warm, folder: Path) -> subprocess.CompletedProcess[str]:
    program, *words = command.small
    start = {"python": [], "normlab": ["-m", "normlab.cli"]}[program]
    return warm.run(*start, *words, cwd=folder, env=training_environment())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_runs(page):
    """The blocks of a page one after another, with a network and images by the pages' names."""
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4),
    )  # fmt: skip
    names = {"model": network, "x": torch.randn(4, 3, 8, 8), "Trainer": lambda callbacks: callbacks}
    for block in fenced(page, "python"):
        # What begins with a docstring is a file of its own: tests/train/test_extend.py runs it.
        if not block.startswith('"""'):
            exec(block, names)


def test_links_lead_to_files():
    for page in (*PAGES, ROOT / "CHANGELOG.md", ROOT / "VERDICTS.md"):
        text = page.read_text()
        links = re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", text)
        for link in links + re.findall(r'(?:src|srcset)="([^"]+)"', text):
            assert (page.parent / link).exists(), f"{page.name} links to {link}, which is not there"


def test_the_groups_of_train_are_all_told():
    rows = re.findall(r"^\| `(\w+)=` \| (.*) \|$", (ROOT / "docs" / "train.md").read_text(), re.M)
    assert len(rows) == 7
    for group, choices in rows:
        told = set(re.findall(r"`(\w+)`", choices))
        assert told == {file.stem for file in (ROOT / "conf" / group).glob("[a-z]*.yaml")}


def test_readme_is_one_screen():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 70
