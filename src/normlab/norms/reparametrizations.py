"""Weight reparametrizations: the norm of the weights instead of the activations."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from normlab.errors import NormLabError, choices

KINDS = ("none", "weightnorm", "spectralnorm", "weight_standardization")
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
EPS = 1e-5


class WeightStandardization(nn.Module):
    """Weight standardization: zero mean and unit variance over each output channel's fan-in.

        w = (v - mean) / sqrt(variance + 1e-5)

    with mean and biased variance over all dimensions of v but the first. As in the paper there is
    no gain; the norm after the convolution has one.

    Shape: a weight (C_out, C_in, ...), the same out as in. No parameters.

    Source: Qiao et al. 2019, Micro-Batch Training with Batch-Channel Normalization and Weight
    Standardization.
    """

    def forward(self, weight: Tensor) -> Tensor:
        dims = tuple(range(1, weight.ndim))
        variance, mean = torch.var_mean(weight, dims, correction=0, keepdim=True)
        return (weight - mean) * (variance + EPS).rsqrt()


def apply_reparam(model: nn.Module, kind: str) -> nn.Module:
    """Reparametrizes, in place, the weights of convolutions and linear layers; returns `model`.

    - weightnorm (Salimans & Kingma 2016): w = g v / |v| for every convolution and linear layer, the
      output layer too, as in the paper. It starts at the very weights that were there.
    - spectralnorm (Miyato et al. 2018): w = v / (largest singular value of v) for the same layers.
      The power iteration starts from a fixed seed; the global random state is left unchanged.
    - weight_standardization (Qiao et al. 2019): see WeightStandardization; for convolutions whose
      outputs have more than one incoming weight.

    Biases and embeddings stay as they are, and so does a weight that two modules share (an output
    layer tied to the embedding): reparametrizing one of its two uses would untie them.

    Raises:
        NormLabError: an unknown kind, a model that has been reparametrized before.
    """
    if kind not in KINDS:
        raise choices("reparam", kind, KINDS)
    if kind == "none":
        return model
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        for module in _targets(model, kind):
            if parametrize.is_parametrized(module, "weight"):
                raise NormLabError(
                    "the weights are reparametrised already: "
                    f"apply {kind} to a model as it was built."
                )
            if kind == "weightnorm":
                parametrizations.weight_norm(module)
            elif kind == "spectralnorm":
                parametrizations.spectral_norm(module)
            else:
                parametrize.register_parametrization(module, "weight", WeightStandardization())
    return model


def _targets(model: nn.Module, kind: str) -> list[nn.Module]:
    """The layers whose weights `kind` reparametrizes, those with a shared weight left out."""
    uses: dict[int, int] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            uses[id(parameter)] = uses.get(id(parameter), 0) + 1
    standardize = kind == "weight_standardization"
    classes = CONVOLUTIONS if standardize else (*CONVOLUTIONS, nn.Linear)
    targets: list[nn.Module] = []
    for module in model.modules():
        if not isinstance(module, classes):
            continue
        shared = uses.get(id(module.weight), 1) > 1
        single = standardize and module.weight[0].numel() == 1  # whose standardized value is 0
        if not shared and not single:
            targets.append(module)
    return targets
