"""A run once more from its folder: by `normlab rerun`, and by the recipe that people paste."""

import re

import pytest
from omegaconf import OmegaConf

from normlab.config.compose import compose, to_dict
from normlab.errors import NormLabError
from normlab.records.record import Record
from normlab.train.arguments import with_saved_config
from normlab.train.rerun import rerun
from normlab.training.fit import fit

QUICK = ["norm=groupnorm", "norm.num_groups=8", "trainer.max_steps=4", "data.batch_size=16"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run with what only Hydra's file says: a logger."""
    folder = tmp_path_factory.mktemp("run")
    cfg = compose([*QUICK, "logger=none"])
    fit(cfg, folder).write(folder / "record.json")
    (folder / ".hydra").mkdir()
    OmegaConf.save(OmegaConf.create(to_dict(cfg)), folder / ".hydra" / "config.yaml")
    return folder


def test_the_same_key_and_the_same_bits(run_dir, tmp_path):
    first = rerun(run_dir, out=tmp_path / "a")
    earlier = Record.read(run_dir / "record.json")
    assert first.difference == "" and first.record.key == earlier.key
    # And of that run once more.
    assert rerun(tmp_path / "a", out=tmp_path / "b").difference == ""


def test_a_run_without_a_record_is_run_from_what_hydra_saved(run_dir, tmp_path):
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / ".hydra").symlink_to(run_dir / ".hydra")
    done = rerun(tmp_path / "killed", out=tmp_path / "out")
    assert done.difference is None
    assert done.record.key == Record.read(run_dir / "record.json").key


def test_settings_are_changed_on_top(run_dir, tmp_path):
    done = rerun(run_dir, ["norm=batchnorm", "norm.ghost_batch=4", "seed=3"], tmp_path / "out")
    config = done.record.config
    assert config["norm"]["kind"] == "batchnorm" and config["norm"]["ghost_batch"] == 4
    assert done.record.seed == 3 and config["trainer"]["max_steps"] == 4
    assert done.difference is None  # another trial


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["seed=1,2"], "settings of one job"),
        (["~norm"], "settings of one job"),
        (["hydra.run.dir=x"], "settings of one job"),
        (["norm=nothing"], "unknown norm 'nothing': choose one of"),
        (["norm.foo=1"], "num_groups"),
        (["optim.lr=fast"], "optim.lr"),
        (["optim.foo=1"], "weight_decay"),
        (["seed=-1"], "seed=-1"),
        (["norm.num_groups=5"], "choose one of 1, 2, 4, 8, 16"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(run_dir, tmp_path, overrides, words):
    with pytest.raises(NormLabError, match=re.escape(words)):
        rerun(run_dir, overrides, tmp_path / "out")


def test_what_is_no_run_is_refused(run_dir, tmp_path):
    with pytest.raises(NormLabError, match=r"neither record\.json nor"):
        rerun(tmp_path)
    with pytest.raises(NormLabError, match="name another folder"):
        rerun(run_dir, out=run_dir)


def test_the_pasted_recipe_gives_the_same_run(run_dir, train, tmp_path):
    (tmp_path / "mine").symlink_to(run_dir)
    done = train("--config-path", "mine/.hydra", "--config-name", "config")
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "runs").rglob("record.json")
    earlier, now = Record.read(run_dir / "record.json"), Record.read(path)
    assert (now.key, now.curve) == (earlier.key, earlier.curve)


def test_other_folders_are_left_to_hydra(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    mine = str(tmp_path / "mine")
    assert with_saved_config(["t", "--config-path=mine"]) == ["t", f"--config-path={mine}"]
    assert with_saved_config(["t", "-cp", "none", "seed=1"]) == ["t", "-cp", "none", "seed=1"]
    (tmp_path / ".hydra").mkdir()
    given = with_saved_config(["t", "-cp", ".hydra", "hydra.run.dir=here"])
    assert given[3] == "hydra.run.dir=here" and "hydra.sweep.dir=runs/sweep" in given
    assert not any(one.startswith("hydra.run.dir=runs") for one in given)
