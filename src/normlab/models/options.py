"""What a network is built from: the types of the groups norm, reparam and model. Torch-free."""

from dataclasses import dataclass, field, fields
from enum import Enum


@dataclass
class NormConfig:
    """A kind of norm, and the keywords of its layer: of `custom`, the class and its keywords."""

    kind: str
    options: dict[str, object] = field(default_factory=dict)


@dataclass
class ReparamConfig:
    kind: str


@dataclass
class ModelConfig:
    name: str
    depth: int
    width: int


@dataclass
class PlainCNNConfig(ModelConfig):
    depth: int = 5  # convolutions
    width: int = 32  # channels of the first one; doubled at each of the two strided ones
    init_gain: float = 1.0


@dataclass
class SpeedNetConfig(ModelConfig):
    depth: int = 2  # convolutions of each of the three stages
    width: int = 16  # channels of the first stage; four times as many in the others
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
    # LayerNorm scaling: 1 / sqrt(layer) after the norm before each branch
    layer_scaling: bool = False
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


# By the name of the model, which is also its module's.
MODEL_CONFIGS: dict[str, type[ModelConfig]] = {
    "plaincnn": PlainCNNConfig,
    "speednet": SpeedNetConfig,
    "resnet": ResNetConfig,
    "mlp": MLPConfig,
    "transformer": TransformerConfig,
    "rnn": RNNConfig,
}


@dataclass(kw_only=True)
class NetworkConfig:
    """Everything that decides a network's layers and initial weights."""

    norm: NormConfig
    reparam: ReparamConfig
    model: ModelConfig
    seed: int = 0
    allow_noncausal: bool = False  # let a norm that mixes positions into a causal model


def keywords(model: ModelConfig) -> dict[str, object]:
    """The keywords of the model's class: its options but for the name, choices as text."""
    options = {item.name: getattr(model, item.name) for item in fields(model)}
    # The name has chosen the class already.
    del options["name"]
    for name, value in options.items():
        # As text: the networks are built without Hydra, too, and check the names themselves.
        if isinstance(value, Enum):
            options[name] = value.value
    return options
