"""A character LSTM with norms where the papers put them."""

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.errors import NormLabError, choices
from normlab.models.layers import NormFactory, normal_

NORM_AT = ("all", "input")


def norms_over_time(
    norm: NormFactory, num_features: int, steps: int, gain: float, shift: bool
) -> nn.ModuleList:
    """`steps` norms over rows (N, C) with statistics of their own and the same parameters.

    Their gain begins at `gain`. Without `shift` their bias stays at zero.

    Raises:
        NormLabError: a gain for a norm that has none.
    """
    norms = nn.ModuleList(norm(num_features, layout="NC") for _ in range(steps))
    # What has gain and shift: of norm=custom, the layer inside. Known by that attribute alone, so
    # that a model does not depend on the file of a norm that it may not use.
    layers: list[Any] = [getattr(one, "layer", one) for one in norms]
    for layer in layers:
        weight: Any = getattr(layer, "weight", None)
        if gain != 1 and weight is None:
            raise NormLabError(
                f"model.norm_gain={gain:g} is for a norm with a gain, which this one lacks: leave "
                "it at 1."
            )
        if gain != 1:  # each, for the gain of a frozen norm is a buffer, which is not shared
            nn.init.constant_(weight, gain)
        # A shift left out becomes a buffer of zeros: the norm's own code reads `bias`, and no
        # optimizer does.
        bias = layer._parameters.get("bias")
        if not shift and bias is not None:
            del layer.bias
            layer.register_buffer("bias", torch.zeros_like(bias))
    # One parameter for all time steps.
    for name, shared in norms[0].named_parameters(remove_duplicate=False):
        inside, _, last = name.rpartition(".")
        for one in norms:
            setattr(one.get_submodule(inside), last, shared)
    return norms


class LSTMLayer(nn.Module):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with norms, time step by time step.

    As in Cooijmans et al. 2016, over the rows (N, C) of one time step at a time:

        i, f, g, o = norm_h(W_h h) + norm_x(W_x x) + b
        c = sigmoid(f) c + sigmoid(i) tanh(g)
        h = sigmoid(o) tanh(norm_c(c))

    norm_h and norm_x have no shift, since b is one. norm_at=input leaves norm_x alone (Laurent et
    al. 2016). Each gate's weights are orthogonal; b is 0, and 1 for the forget gate (Jozefowicz et
    al. 2015).

    Shape: W_x x (T, N, 4 C) -> h (T, N, C).
    """

    def __init__(
        self,
        width: int,
        norm: NormFactory,
        generator: torch.Generator,
        *,
        norm_at: str,
        steps: int,
        norm_gain: float,
    ) -> None:
        super().__init__()
        self.input = nn.Linear(width, 4 * width)
        self.recurrent = nn.Linear(width, 4 * width, bias=False)
        for linear in (self.input, self.recurrent):
            # Gate by gate: the quarters (C, C) of an orthogonal matrix (4 C, C) are not orthogonal.
            for gate in linear.weight.chunk(4):
                nn.init.orthogonal_(gate, generator=generator)
        nn.init.zeros_(self.input.bias)
        nn.init.ones_(self.input.bias[width : 2 * width])
        self.norm_x = norms_over_time(norm, 4 * width, steps, norm_gain, shift=False)
        if norm_at == "all":
            self.norm_h = norms_over_time(norm, 4 * width, steps, norm_gain, shift=False)
            self.norm_c = norms_over_time(norm, width, steps, norm_gain, shift=True)
        else:
            # One place for every time step: `at` below is 0.
            self.norm_h = self.norm_c = nn.ModuleList([nn.Identity()])

    def project(self, x: Tensor) -> Tensor:
        """W_x x: (..., C) -> (..., 4 C)."""
        return F.linear(x, self.input.weight)

    def forward(self, projected: Tensor) -> Tensor:
        _, n, gates = projected.shape
        h = c = self.input.bias.new_zeros(n, gates // 4)
        weight, bias = self.recurrent.weight, self.input.bias
        # Lists: a ModuleList looks an index up by its text, at every step of the loop.
        norm_x, norm_h, norm_c = (list(norms) for norms in (self.norm_x, self.norm_h, self.norm_c))
        outputs = []
        for t, wx in enumerate(projected.unbind()):
            # Past the last time step with statistics of its own, that one's are the nearest.
            step = min(t, len(norm_x) - 1)
            at = min(step, len(norm_h) - 1)
            gates_t = norm_h[at](F.linear(h, weight)) + norm_x[step](wx) + bias
            i, f, g, o = gates_t.chunk(4, dim=1)  # (N, C) each
            # f c + i g
            c = torch.addcmul(f.sigmoid() * c, i.sigmoid(), g.tanh())
            h = o.sigmoid() * norm_c[at](c).tanh()
            outputs.append(h)
        return torch.stack(outputs)


class RNN(nn.Module):
    """Embedding, LSTM layers, linear head.

    A norm sees one time step at a time, so none that takes layout NC shows the future.
    per_step: statistics of their own for each time step, with gain and bias shared (Cooijmans et
    al. 2016); time steps beyond the context use those of the last.

    Shape: (N, T) token ids -> (N, T, vocabulary) logits, for any T.

    Raises:
        NormLabError: an unknown norm_at, a norm_gain that is not positive or that the norm cannot
            have.
    """

    modalities: ClassVar[tuple[str, ...]] = ("text",)
    mixes_positions: ClassVar[bool] = False

    def __init__(
        self,
        input_shape: tuple[int, ...],
        vocabulary: int,
        norm: NormFactory,
        generator: torch.Generator,
        *,
        modality: str = "text",
        depth: int,
        width: int,
        norm_at: str = "all",
        per_step: bool = False,
        norm_gain: float = 1.0,
    ) -> None:
        super().__init__()
        if norm_at not in NORM_AT:
            raise choices("model.norm_at", norm_at, NORM_AT)
        if not norm_gain > 0:
            raise NormLabError(f"model.norm_gain={norm_gain:g}: give an initial gain above 0.")
        steps = input_shape[0] if per_step else 1
        self.tokens = nn.Embedding(vocabulary, width)
        options: dict[str, Any] = {"norm_at": norm_at, "steps": steps, "norm_gain": norm_gain}
        self.layers = nn.ModuleList(
            LSTMLayer(width, norm, generator, **options) for _ in range(depth)
        )
        self.head = nn.Linear(width, vocabulary)
        with torch.no_grad():
            normal_(self.tokens.weight, 1.0, generator)
            # The head with variance 1 / fan_in, as in `initialise`: near the trivial loss.
            normal_(self.head.weight, 1 / math.sqrt(width), generator)
            self.head.bias.zero_()

    def forward(self, ids: Tensor) -> Tensor:
        layers: Any = self.layers
        first, *rest = layers
        # A token's projection depends on nothing else: one row for each of the vocabulary, not of
        # the batch.
        x = first(F.embedding(ids.t(), first.project(self.tokens.weight)))
        for layer in rest:
            x = layer(layer.project(x))
        logits: Tensor = self.head(x.transpose(0, 1))
        return logits
