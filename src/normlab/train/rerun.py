"""A run once more from what its folder says: the same trial, or one that differs a little."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from normlab.config.compose import compose_node, to_dict, typed
from normlab.config.schema import Config
from normlab.data import check_available
from normlab.errors import NormLabError
from normlab.norms.registry import declared_kinds, options_schema
from normlab.records.compare import difference
from normlab.records.places import CONF
from normlab.records.record import Record, trial_key
from normlab.records.store import DONE
from normlab.train.arguments import places
from normlab.train.job import train
from normlab.train.sentences import sentence_of

_SAVED = Path(".hydra") / "config.yaml"


@dataclass(frozen=True)
class Rerun:
    """What came out. difference: to the run's record in words, "" for the same bits, None where
    the trial is another or the run has left no result."""

    record: Record
    path: Path
    difference: str | None


def rerun(run_dir: Path, overrides: Sequence[str] = (), out: Path | None = None) -> Rerun:
    """Train what the run in `run_dir` trained, from its first step, with `overrides` on top.

    out: the new run's folder; None for one below runs/, as train.py names it.

    Raises:
        NormLabError: no run is there, or what the overrides make of it cannot be run.
    """
    earlier = Record.read(run_dir / "record.json")
    cfg = _configuration(run_dir, earlier, overrides)
    # Its checkpoint was of another run, and may be gone; a whole run gives the same bits.
    if not any(one.startswith("trainer.resume=") for one in overrides):
        cfg.trainer.resume = None
    config = to_dict(cfg)
    # What is computed from another key is another trial.
    key = trial_key(config)
    if not overrides and earlier is not None and earlier.key != key:
        raise NormLabError(
            f"{run_dir}: its trial {earlier.key} is {key} by this code, which is another one: "
            f"check out {earlier.code.get('git') or 'the commit that made it'}."
        )
    check_available(cfg.data)
    folder = out or _new_folder(cfg)
    if (folder / "record.json").exists():
        raise NormLabError(f"--out {folder}: there is a run in it; name another folder.")
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.create(config), folder / _SAVED)
    record = train(cfg, folder)
    path = folder / "record.json"
    record.write(path)
    same_trial = earlier is not None and earlier.key == record.key and earlier.status in DONE
    return Rerun(record, path, difference(earlier, record) if same_trial and earlier else None)


def _configuration(run_dir: Path, earlier: Record | None, overrides: Sequence[str]) -> Config:
    """What the run was made with, by its record, or by Hydra's file where it has left none."""
    if earlier is not None:
        node = OmegaConf.create(earlier.config)
    elif (run_dir / _SAVED).is_file():
        node = OmegaConf.load(run_dir / _SAVED)  # type: ignore[assignment]
    else:
        raise NormLabError(
            f"{run_dir}: neither record.json nor {_SAVED} is in it; name the folder of one run of "
            "train.py."
        )
    try:
        for one in OverridesParser.create().parse_overrides(list(overrides)):
            _apply(node, one)
        kind = OmegaConf.select(node, "norm.kind")
        if kind in declared_kinds():  # whose options then have their types
            node.norm = OmegaConf.merge(OmegaConf.structured(options_schema(kind)), node.norm)
        return typed(node)
    except (HydraException, OmegaConfBaseException) as error:
        raise NormLabError(sentence_of(error)) from None


def _apply(node: DictConfig, override: Override) -> None:
    """One override of the command, as train.py takes it for a single job."""
    words, key = override.input_line, override.key_or_group
    if override.is_sweep_override() or override.is_delete() or key.startswith("hydra"):
        raise NormLabError(f"{words}: a rerun takes settings of one job, as optim.lr=0.1.")
    if (CONF / key).is_dir():
        # The group alone: all else stays as the run had it.
        node[key] = compose_node([f"model={node.model.name}", str(words)])[key]
    else:
        OmegaConf.update(node, key, override.value(), merge=True)


def _new_folder(cfg: Config) -> Path:
    """Where train.py would put it now, by the pattern of conf/config.yaml."""
    names = {"model": {"name": cfg.model.name}, "norm": {"kind": cfg.norm.kind}}
    # `${now:...}` is a resolver of Hydra's.
    setup_globals()
    return Path(str(OmegaConf.create({**names, "dir": places()["hydra.run.dir"]}).dir))
