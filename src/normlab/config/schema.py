"""The typed schema behind conf/: one dataclass per kind of choice, one field per knob that something reads.

Hydra merges each file of conf/ into its dataclass (`- _batchnorm` in its defaults list names it), so an unknown key or
a value of the wrong type is refused before anything heavy is imported. Torch-free on purpose.
"""

from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any, Optional

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf

from normlab.errors import choices
from normlab.norms.registry import declared_kinds, options_schema
from normlab.records.places import CONF
from normlab.records.record import trial_key
from normlab.training.evaluations import MODULES


@dataclass
class CustomNormConfig:
    kind: str = "custom"
    target: Optional[str] = None  # package.module.Class
    options: Any = None  # keywords of the class: {name: value}


@dataclass
class ReparamConfig:
    kind: str = MISSING


@dataclass
class ModelConfig:
    name: str = MISSING


@dataclass
class PlainCNNConfig(ModelConfig):
    depth: int = 5  # convolutions
    width: int = 32  # channels of the first one; doubled at each of the two strided ones
    init_gain: float = 1.0


@dataclass
class ResNetConfig(ModelConfig):
    depth: int = 20  # 6n + 2
    width: int = 16
    init_gain: float = 1.0


@dataclass
class MLPConfig(ModelConfig):
    depth: int = 3  # hidden layers
    width: int = 128
    init_gain: float = 1.0


class Placement(Enum):
    """Where the norms of a transformer's branches stand."""

    pre = "pre"
    post = "post"
    sandwich = "sandwich"
    deepnorm = "deepnorm"
    deepnorm_alpha = "deepnorm_alpha"  # its residual scale alone
    deepnorm_beta = "deepnorm_beta"  # its initial gain alone


class Init(Enum):
    gpt2 = "gpt2"
    xavier = "xavier"


class Padding(Enum):
    """How norms see the padding of a sequence."""

    counted = "counted"
    masked = "masked"
    zeroed = "zeroed"


@dataclass
class TransformerConfig(ModelConfig):
    depth: int = 3
    width: int = 64
    num_heads: int = 4
    mlp_ratio: int = 4
    placement: Placement = Placement.pre
    init: Init = Init.gpt2
    qk_norm: bool = False
    layer_scaling: bool = (
        False  # LayerNorm scaling: 1 / sqrt(layer) after the norm before each branch
    )
    tied: bool = True  # the head is the embedding
    padding: Padding = Padding.counted


class NormAt(Enum):
    all = "all"
    input = "input"


@dataclass
class RNNConfig(ModelConfig):
    depth: int = 1
    width: int = 128
    norm_at: NormAt = NormAt.all
    per_step: bool = False  # statistics of its own for each time step
    norm_gain: float = 1.0  # initial


@dataclass
class DataConfig:
    name: str = MISSING
    batch_size: int = 64
    eval_batch_size: int = 500
    subset: Optional[int] = None  # training images or characters; null = all
    eval_subset: Optional[int] = None  # validation and test images or characters, each; null = all


@dataclass
class ImageDataConfig(DataConfig):
    image_size: Optional[int] = None  # pixels a side; null = as stored
    augment: bool = True  # random crop after zero padding, horizontal flip
    crop_padding: int = 4
    flip: bool = True
    group_size: Optional[int] = None  # consecutive training samples that show only ...
    group_classes: Optional[int] = None  # ... so many classes; null, both: no groups
    styles: Optional[list[int]] = (
        None  # image i of a split is shown in style i modulo their number; null = as it is
    )


@dataclass
class ImageFolderConfig(ImageDataConfig):
    path: str = MISSING


@dataclass
class TextDataConfig(DataConfig):
    context: int = 64  # characters that the model sees


@dataclass
class TextFileConfig(TextDataConfig):
    path: str = MISSING


class DocumentTask(Enum):
    classify = "classify"
    masked = "masked"


@dataclass
class DocumentDataConfig(DataConfig):
    task: DocumentTask = DocumentTask.classify
    context: int = 64  # tokens that a document is padded to
    eval_context: Optional[int] = None  # the same in evaluation; null = context
    crop: Optional[int] = None  # tokens that are kept of a document; null = context
    vocabulary: int = 2000
    mask_share: float = 0.15


class Decay(Enum):
    """How the learning rate falls after warm-up."""

    cosine = "cosine"
    linear = "linear"
    constant = "constant"


@dataclass
class OptimConfig:
    name: str = MISSING
    lr: float = MISSING
    weight_decay: float = 0.0  # on weight matrices and convolutions only
    warmup: float = 0.0  # share of all steps
    decay: Decay = Decay.cosine  # to zero
    clip_norm: Optional[float] = None


@dataclass
class SGDConfig(OptimConfig):
    momentum: float = 0.9
    nesterov: bool = True


@dataclass
class AdamWConfig(OptimConfig):
    beta1: float = 0.9
    beta2: float = 0.95


class Accelerator(Enum):
    cpu = "cpu"
    gpu = "gpu"


class Precision(Enum):
    fp32 = "fp32"
    bf16 = "bf16"


@dataclass
class TrainerConfig:
    accelerator: Accelerator = Accelerator.cpu
    precision: Precision = Precision.fp32
    channels_last: bool = False
    max_epochs: Optional[float] = None  # one of these three is the budget; none of them = 10 epochs
    max_steps: Optional[int] = None
    max_samples: Optional[int] = None
    accumulate: int = 1  # batches per optimizer step
    eval_every: Optional[int] = (
        None  # steps between validations while training; null = once, at the end
    )
    stop_diverged: bool = True
    chunk_steps: Optional[int] = (
        None  # plain steps per Lightning step; null = 50, fewer in short runs
    )
    threads: int = 1
    devices: Optional[int] = None  # processes, on the CPU or with a GPU each; null = this one
    timeout_s: Optional[float] = (
        None  # that one of them waits for the others before all end; null = 300
    )
    checkpoint_every: Optional[int] = None  # steps; null = no checkpoint
    resume: Optional[str] = None  # a checkpoint of the same configuration
    progress: Optional[bool] = None  # null = on a terminal


@dataclass
class WandbConfig:
    project: str = "normlab"
    group: Optional[str] = None  # null = the sweep
    tags: list[str] = field(default_factory=list)


@dataclass
class LoggerConfig:
    csv: bool = False
    tensorboard: bool = False
    wandb: Optional[WandbConfig] = None


class Probe(Enum):
    gradient_norm = "gradient_norm"
    activations = "activations"
    running_stats = "running_stats"


# What else is measured on the trained network.
Evaluation = Enum("Evaluation", {name: name for name in MODULES})  # type: ignore[misc]


@dataclass
class Config:
    norm: Any = MISSING
    reparam: Any = MISSING
    model: Any = MISSING
    data: Any = MISSING
    optim: Any = MISSING
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    seed: int = 0
    allow_noncausal: bool = False  # let a norm that mixes positions into a causal model
    probes: list[Probe] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    claim: Optional[str] = None
    arm: Optional[str] = None
    stage: Optional[str] = None


SCHEMAS: dict[tuple[Optional[str], str], type] = {
    (None, "_config"): Config,
    **{("norm", f"_{kind}"): options_schema(kind) for kind in declared_kinds()},
    ("norm", "_custom"): CustomNormConfig,
    ("reparam", "_reparam"): ReparamConfig,
    ("model", "_plaincnn"): PlainCNNConfig,
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
}

for (_group, _name), _schema in SCHEMAS.items():
    ConfigStore.instance().store(group=_group, name=_name, node=_schema)
for _kind in declared_kinds():
    if not (CONF / "norm" / f"{_kind}.yaml").is_file():  # a norm that is one file
        ConfigStore.instance().store(group="norm", name=_kind, node=options_schema(_kind))


def to_dict(cfg: Any) -> dict[str, Any]:
    """The configuration as plain values, resolved, without Hydra's own."""
    plain = OmegaConf.to_container(
        OmegaConf.masked_copy(cfg, [key for key in cfg if key != "hydra"]), enum_to_str=True
    )
    return plain  # type: ignore[return-value]


def check_keys(cfg: Any) -> None:
    """Raises NormLabError for a key that nothing reads (Hydra lets `+key=value` add any)."""
    groups = {key: OmegaConf.get_type(cfg, key) for key in cfg if OmegaConf.is_dict(cfg[key])}
    for prefix, node, schema in [
        ("", cfg, Config),
        *((f"{key}.", cfg[key], schema) for key, schema in groups.items()),
    ]:
        known = [item.name for item in fields(schema)] if is_dataclass(schema) else list(node)
        for key in node:
            if key not in known and key != "hydra":
                raise choices("key", f"{prefix}{key}", known)


def _trial(*, _root_: Any) -> str:
    return trial_key(to_dict(_root_))


OmegaConf.register_new_resolver("trial", _trial, replace=True)


def compose(overrides: list[str] | None = None) -> Any:
    """The configuration that `python train.py <overrides>` composes, without Hydra's run directory."""
    import hydra

    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose("config", overrides or [])
