"""From conf/ and overrides to a `Config`: Hydra composes, the schema checks, one function converts.

Hydra merges each file of conf/ into its dataclass (`- _batchnorm` in its defaults list names it),
so an unknown key or a value of the wrong type is refused before anything heavy is imported.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from normlab.config.bounds import check_bounds
from normlab.config.schema import OPTIM_CONFIGS, AdamWConfig, Config, MuonConfig, SGDConfig
from normlab.data.options import (
    DATA_CONFIGS,
    DocumentDataConfig,
    ImageDataConfig,
    ImageFolderConfig,
    TextDataConfig,
    TextFileConfig,
)
from normlab.errors import choices
from normlab.models.options import (
    MODEL_CONFIGS,
    MLPConfig,
    NormConfig,
    PlainCNNConfig,
    ReparamConfig,
    ResNetConfig,
    RNNConfig,
    SpeedNetConfig,
    TransformerConfig,
)
from normlab.norms.registry import declared_kinds, options_schema
from normlab.records.places import CONF
from normlab.records.record import trial_key


@dataclass(kw_only=True)
class ComposedConfig(Config):
    """`Config` as Hydra sees it: the groups whose type the choice decides take any of them.

    The options of a norm lie flat beside its kind (`norm.eps=1e-3`), in a type that its file gives.
    """

    norm: Any
    reparam: Any
    model: Any
    data: Any
    optim: Any


@dataclass
class CustomNormConfig:
    kind: str = "custom"
    target: str | None = None  # package.module.Class
    options: Any = None  # keywords of the class: {name: value}


# (group, name in a defaults list) -> the type
SCHEMAS: dict[tuple[str | None, str], type] = {
    (None, "_config"): ComposedConfig,
    **{("norm", f"_{kind}"): options_schema(kind) for kind in declared_kinds()},
    ("norm", "_custom"): CustomNormConfig,
    ("reparam", "_reparam"): ReparamConfig,
    ("model", "_plaincnn"): PlainCNNConfig,
    ("model", "_speednet"): SpeedNetConfig,
    ("model", "_resnet"): ResNetConfig,
    ("model", "_mlp"): MLPConfig,
    ("model", "_transformer"): TransformerConfig,
    ("model", "_rnn"): RNNConfig,
    ("data", "_image"): ImageDataConfig,
    ("data", "_imagefolder"): ImageFolderConfig,
    ("data", "_text"): TextDataConfig,
    ("data", "_textfile"): TextFileConfig,
    ("data", "_documents"): DocumentDataConfig,
    ("optim", "_sgd"): SGDConfig,
    ("optim", "_adamw"): AdamWConfig,
    ("optim", "_muon"): MuonConfig,
}
# On import: Hydra looks up in its store what the defaults lists of conf/ name.
for (_group, _name), _schema in SCHEMAS.items():
    ConfigStore.instance().store(group=_group, name=_name, node=_schema)
for _kind in declared_kinds():
    if not (CONF / "norm" / f"{_kind}.yaml").is_file():  # a norm that is one file
        ConfigStore.instance().store(group="norm", name=_kind, node=options_schema(_kind))


def compose(overrides: Sequence[str] = ()) -> Config:
    """The configuration that `python train.py <overrides>` composes.

    Raises:
        HydraException, OmegaConfBaseException: what Hydra refuses.
        NormLabError: what `typed` refuses.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    values = [one for one in parsed if _sets_a_value(one)]
    choices = tuple(str(one.input_line) for one in parsed if one not in values)
    # Hydra takes a third of a second, of which the choices of groups need nearly all, and a plan
    # has few of them. A copy, since the composed one serves every later call with the same choices.
    node = copy.deepcopy(_composed(choices))
    try:
        # In the order of the command, as Hydra takes them: of two for one key the last counts.
        for one in values:
            OmegaConf.update(node, one.key_or_group, one.value(), merge=True)
    except OmegaConfBaseException:
        node = compose_node(overrides)  # Hydra says in its words what is wrong
    return typed(node)


def compose_node(overrides: Sequence[str] = ()) -> DictConfig:
    """What Hydra composes, all by itself, without Hydra's own settings."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose("config", list(overrides))


@cache
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    return compose_node(overrides)


def _sets_a_value(override: Override) -> bool:
    """Rather than choose from a group, add, delete or sweep."""
    plain = not (override.is_add() or override.is_delete() or override.is_sweep_override())
    return plain and not (CONF / override.key_or_group).is_dir()


def typed(node: DictConfig) -> Config:
    """`node`, composed by Hydra or read from a record, as instances of the types that declare it.

    Raises:
        NormLabError: a key that nothing reads; an unknown model, data set or optimizer; a number
            that its setting cannot have.
        OmegaConfBaseException: a value of the wrong type, or none where one must be given.
    """
    # Before the merge, which refuses an unknown key without naming those that there are.
    check_keys(node)
    whole: Any = node if _has_types(node) else _with_types(node)
    norm = plain(whole.norm)
    # One level only: the groups stay instances of their types, as `Config` holds them.
    values = vars(OmegaConf.to_object(whole))
    cfg = Config(**{**values, "norm": NormConfig(norm.pop("kind"), norm)})
    check_bounds(cfg)
    return cfg


# Groups whose type follows from the name: what it is called, and the types.
_NAMED: Mapping[str, tuple[str, Mapping[str, type]]] = {
    "model": ("model", MODEL_CONFIGS),
    "data": ("data set", DATA_CONFIGS),
    "optim": ("optimizer", OPTIM_CONFIGS),
}


def _has_types(node: DictConfig) -> bool:
    """Whether all of `node` has its type already, as what Hydra composes from conf/ has."""
    if "hydra" in node or OmegaConf.get_type(node) is not ComposedConfig:
        return False
    for group, (_, types) in _NAMED.items():
        name = OmegaConf.select(node, f"{group}.name")
        if name not in types or OmegaConf.get_type(node, group) is not types[name]:
            return False
    return OmegaConf.get_type(node, "reparam") is ReparamConfig


def _with_types(node: DictConfig) -> DictConfig:
    """The same for a record or a file of a user's own, which hold plain values.

    Raises:
        NormLabError: an unknown model, data set or optimizer.
        OmegaConfBaseException: a value of the wrong type.
    """
    whole: Any = OmegaConf.merge(OmegaConf.structured(ComposedConfig), _without_hydra(node))
    for group, (what, types) in _NAMED.items():
        name = whole[group].name
        if name not in types:
            raise choices(what, name, types)
        try:
            whole[group] = OmegaConf.merge(OmegaConf.structured(types[name]), whole[group])
        except OmegaConfBaseException as error:
            error.full_key = f"{group}.{error.full_key}"  # which the group itself does not know
            raise
    whole.reparam = OmegaConf.merge(OmegaConf.structured(ReparamConfig), whole.reparam)
    return whole  # type: ignore[no-any-return]


def to_dict(cfg: Config) -> dict[str, Any]:
    """The configuration as plain values, nested as in conf/: what records hold and keys are of."""
    values = asdict(cfg)
    norm = values.pop("norm")
    named: dict[str, Any] = _names({**values, "norm": {"kind": norm["kind"], **norm["options"]}})
    return named


def plain(node: DictConfig) -> dict[str, Any]:
    """What Hydra composed as plain values, whether or not it is a `Config`, without Hydra's own."""
    values: Any = OmegaConf.to_container(_without_hydra(node), enum_to_str=True)
    return dict(values)


def check_keys(node: DictConfig) -> None:
    """Return if every key is one that something reads: Hydra lets `+key=value` add any.

    Raises:
        NormLabError: it is not; with the keys that there are.
    """
    _check_group("", node, Config)


def _check_group(prefix: str, node: DictConfig, schema: Any) -> None:
    """The keys of a group, and of all groups inside it."""
    keys = [str(key) for key in node if key != "hydra"]
    # A group without a type, as records and norms have it, allows what it has.
    known = keys
    if is_dataclass(schema):
        known = [item.name for item in fields(schema)]
    for key in keys:
        if key not in known:
            raise choices("key", f"{prefix}{key}", known)
        # What is still missing must not be asked for: the merge says so.
        if not OmegaConf.is_missing(node, key) and OmegaConf.is_dict(node[key]):
            _check_group(f"{prefix}{key}.", node[key], OmegaConf.get_type(node, key))


def _without_hydra(node: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(node, [str(key) for key in node if key != "hydra"])


def _names(value: Any) -> Any:
    """Plain values, with each enumerated choice by its name."""
    if isinstance(value, dict):
        return {key: _names(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_names(item) for item in value]
    return value.name if isinstance(value, Enum) else value


def _trial(*, _root_: DictConfig) -> str:
    return trial_key(plain(_root_))


# `${trial:}` of conf/config.yaml: the run directory of a sweep's job.
OmegaConf.register_new_resolver("trial", _trial, replace=True)
