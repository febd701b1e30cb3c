"""The types behind conf/: one dataclass per kind of choice, one field per knob that is read.

What networks and data are made of is declared in their own rooms (normlab.models.options,
normlab.data.options); here is the rest, and `Config`, which holds all of it. Torch-free, and
without Hydra: see normlab.config.compose for how one is composed and checked.
"""

from dataclasses import dataclass, field
from enum import Enum

from normlab.data.options import DataConfig
from normlab.models.options import NetworkConfig


class Decay(Enum):
    """How the learning rate falls after warm-up."""

    cosine = "cosine"
    linear = "linear"
    constant = "constant"


class DecayNorm(Enum):
    """Whose gains and shifts the weight decay falls on, by where a norm stands."""

    none = "none"
    input = "input"  # before weight matrices, which could take its gain in
    output = "output"  # after them, as before an activation or a residual sum
    all = "all"


@dataclass
class OptimConfig:
    name: str
    lr: float
    weight_decay: float = 0.0  # on weight matrices and convolutions only, but for decay_norm
    decay_norm: DecayNorm = DecayNorm.none
    warmup: float = 0.0  # share of all steps
    decay: Decay = Decay.cosine  # to zero
    clip_norm: float | None = None


@dataclass
class SGDConfig(OptimConfig):
    momentum: float = 0.9
    nesterov: bool = True


@dataclass
class AdamWConfig(OptimConfig):
    beta1: float = 0.9
    beta2: float = 0.95


@dataclass
class MuonConfig(AdamWConfig):
    momentum: float = 0.95  # of the matrices; beta1 and beta2 are of the rest
    nesterov: bool = True


# By the name of the optimizer.
OPTIM_CONFIGS: dict[str, type[OptimConfig]] = {
    "sgd": SGDConfig,
    "adamw": AdamWConfig,
    "muon": MuonConfig,
}


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
    max_epochs: float | None = None  # one of these three is the budget; none of them = 10 epochs
    max_steps: int | None = None
    max_samples: int | None = None
    accumulate: int = 1  # batches per optimizer step
    # Steps between validations while training; null = once, at the end
    eval_every: int | None = None
    stop_diverged: bool = True
    # Plain steps per Lightning step; null = 50, fewer in short runs
    chunk_steps: int | None = None
    threads: int = 1
    devices: int | None = None  # processes, on the CPU or with a GPU each; null = this one
    # That one of them waits for the others before all end; null = 300
    timeout_s: float | None = None
    checkpoint_every: int | None = None  # steps; null = no checkpoint
    resume: str | None = None  # a checkpoint of the same configuration
    progress: bool | None = None  # null = on a terminal


@dataclass
class WandbConfig:
    project: str = "normlab"
    group: str | None = None  # null = the sweep
    tags: list[str] = field(default_factory=list)


@dataclass
class LoggerConfig:
    csv: bool = False
    tensorboard: bool = False
    wandb: WandbConfig | None = None


class Probe(Enum):
    """What is looked at inside the network while it trains."""

    gradient_norm = "gradient_norm"
    activations = "activations"
    running_stats = "running_stats"


class Evaluation(Enum):
    """What else is measured on the trained network: see normlab.training.evaluations."""

    accumulation = "accumulation"
    adaptation = "adaptation"
    contrast = "contrast"
    corruptions = "corruptions"
    precise = "precise"
    statistics = "statistics"
    stream = "stream"
    styles = "styles"
    train_mode = "train_mode"
    twice_context = "twice_context"
    whole_test = "whole_test"


@dataclass(kw_only=True)
class Config(NetworkConfig):
    """One training, whole: what is trained on what, how, and what is kept of it."""

    data: DataConfig
    optim: OptimConfig
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    probes: list[Probe] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    claim: str | None = None
    arm: str | None = None
    stage: str | None = None

    @property
    def normalization_batch(self) -> int:
        """Samples that share statistics in training, for a norm over a batch."""
        ghost_batch = self.norm.options.get("ghost_batch")
        return ghost_batch if isinstance(ghost_batch, int) else self.data.batch_size
