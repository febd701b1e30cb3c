"""A norm is one file and a claim is one file, as docs/ shows them."""

import json
import os
import re
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


PAGES = {"Add a norm": "norms.md", "Add a claim": "claims.md"}


def shown(heading):
    """The code under a heading of docs/."""
    section = (ROOT / "docs" / PAGES[heading]).read_text().split(f"## {heading}\n")[1]
    return re.search(r"```python\n(.*?)```", section, re.S)[1]


@pytest.fixture
def folders(tmp_path):
    for folder, name, heading in (
        ("norms", "softsign", "Add a norm"),
        ("claims", "gn_beats_in", "Add a claim"),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.py").write_text(shown(heading))
    return tmp_path


@pytest.fixture
def run(warm, folders):
    """`python *command` in the checkout, with both folders in the environment."""
    own = {"NORMLAB_NORMS": str(folders / "norms"), "NORMLAB_EXPERIMENTS": str(folders / "claims")}
    return partial(warm.run, cwd=ROOT, env=os.environ | own)


@pytest.fixture
def train(run, folders):
    short = ("trainer.max_steps=100", f"hydra.run.dir={folders / 'run'}")
    return partial(run, "train.py", "norm=softsign", *short)


@pytest.mark.parametrize("heading", ["Add a norm", "Add a claim"])
def test_shown_in_15_lines_at_most(heading):
    assert 5 < len(shown(heading).splitlines()) <= 15


def test_a_norm_of_one_file_trains_and_is_part_of_the_code_that_records_depend_on(train, folders):
    done = train("norm.slope=0.5")
    assert done.returncode == 0, done.stderr
    record = json.loads((folders / "run" / "record.json").read_text())
    assert record["status"] == "ok" and record["config"]["norm"] == {
        "kind": "softsign",
        "slope": 0.5,
    }
    source = record["code"]["source"]
    file = folders / "norms" / "softsign.py"
    file.write_text(file.read_text().replace("x.abs()", "x.square()"))
    assert train().returncode == 0
    assert json.loads((folders / "run" / "record.json").read_text())["code"]["source"] != source


def test_options_of_a_norm_of_one_file_are_checked(train):
    for override, sentence in (
        ("norm.slop=2", "norm has slope"),
        ("norm.slope=steep", "norm.slope"),
    ):
        done = train(override)
        assert done.returncode == 2 and sentence in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "slope: float = 1.0",
            "slope: list = 1.0",
            "option 'slope' of SoftSign needs a default and a type",
        ),
        (
            "slope: float = 1.0",
            "slope: float",
            "option 'slope' of SoftSign needs a default and a type",
        ),
        ('"softsign"', '"groupnorm"', "norm 'groupnorm' is declared in"),
        ("class SoftSign", "class Soft Sign", "not Python"),
    ],
)
def test_a_file_that_declares_no_norm_is_refused_in_one_sentence(run, folders, old, new, sentence):
    file = folders / "norms" / "softsign.py"
    file.write_text(file.read_text().replace(old, new))
    for command in (("train.py", "norm=softsign"), ("-m", "normlab.cli", "show", "gn-beats-in")):
        done = run(*command)
        assert done.returncode == 2 and sentence in done.stderr and "Traceback" not in done.stderr


def test_a_claim_of_one_file_is_listed_run_and_decided(run, folders):
    done = run("-m", "normlab.cli", "run", "gn-beats-in", "--profile", "smoke")
    assert done.returncode == 0, done.stderr
    done = run(
        "-m",
        "normlab.cli",
        "verdict",
        "gn-beats-in",
        "--json",
        "--results",
        str(folders / "none"),
    )
    (row,) = json.loads(done.stdout)
    assert row["slug"] == "gn-beats-in" and row["verdict"] == "no data"
