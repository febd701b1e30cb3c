"""Weight reparametrisations: the norm of the weights instead of the activations."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from normlab.errors import NormLabError, choices

KINDS = ("none", "weightnorm", "spectralnorm", "weight_standardization")
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
EPS = 1e-5


class WeightStandardization(nn.Module):
    """Weight standardization (Qiao et al. 2019): zero mean and unit variance over each output channel's fan-in.

    (C_out, C_in, ...) -> the same. As in the paper there is no gain; the norm after the convolution has one.
    """

    def forward(self, weight: Tensor) -> Tensor:
        dims = tuple(range(1, weight.ndim))
        variance, mean = torch.var_mean(weight, dims, correction=0, keepdim=True)
        return (weight - mean) * (variance + EPS).rsqrt()


def apply_reparam(model: nn.Module, kind: str) -> nn.Module:
    """Reparametrises, in place, the weights of `model`'s convolutions and linear layers; returns `model`.

    weightnorm (Salimans & Kingma 2016) and spectralnorm (Miyato et al. 2018): every convolution and linear layer, the
    output layer too, as in the papers. weight_standardization (Qiao et al. 2019): convolutions whose outputs have more
    than one incoming weight. Biases and embeddings stay as they are, and so does a weight that two modules share (an
    output layer tied to the embedding): reparametrising one of its two uses would untie them.

    weightnorm starts at the very weights that were there. spectralnorm starts its power iteration from a fixed seed;
    the global random state is left unchanged. Raises NormLabError for an unknown kind and for a model that has been
    reparametrised before.
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
                    f"the weights are reparametrised already: apply {kind} to a model as it was built."
                )
            if kind == "weightnorm":
                parametrizations.weight_norm(module)
            elif kind == "spectralnorm":
                parametrizations.spectral_norm(module)
            else:
                parametrize.register_parametrization(module, "weight", WeightStandardization())
    return model


def _targets(model: nn.Module, kind: str) -> list[nn.Module]:
    uses: dict[int, int] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            uses[id(parameter)] = uses.get(id(parameter), 0) + 1
    kinds = CONVOLUTIONS if kind == "weight_standardization" else (*CONVOLUTIONS, nn.Linear)
    return [
        module
        for module in model.modules()
        if isinstance(module, kinds)
        and uses.get(id(module.weight), 1) == 1
        and not (kind == "weight_standardization" and module.weight[0].numel() == 1)
    ]
