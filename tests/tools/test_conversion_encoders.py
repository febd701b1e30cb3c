"""convert: torch's transformer encoders use the new norms, at evaluation too."""

import pytest
import torch
from torch import nn

import normlab


@pytest.mark.parametrize("training", [True, False])
def test_torch_encoder_layers_use_the_new_norm_at_evaluation_too(training):
    """At evaluation torch's layer runs one kernel with LayerNorm in it, whatever its norms."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    x = torch.randn(2, 5, 16)
    before = model.eval()(x)
    normlab.convert(model, "dyt")
    model.train(training)
    with torch.no_grad():
        y = model(x)
    assert not torch.allclose(y, before, atol=1e-3)
    torch.testing.assert_close(y, model.train()(x))


@pytest.mark.parametrize("to", ["dyt", "rmsnorm"])
def test_torch_encoders_take_padding_as_a_mask(to):
    """At evaluation torch's encoder makes nested tensors of padded samples for its kernel."""
    torch.manual_seed(0)
    model = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True), 2
    )
    x, padding = torch.randn(2, 5, 16), torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    done = normlab.convert(model, to)
    with torch.no_grad():
        y = model.eval()(x, src_key_padding_mask=padding)
        torch.testing.assert_close(y, model.train()(x, src_key_padding_mask=padding))
    assert [any("nested" in note for note in norm.notes) for norm in done.replaced] == [
        True,
        False,
        False,
        False,
    ]


def test_a_torch_encoder_whose_layers_keep_their_norms_keeps_its_kernel():
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    model = nn.TransformerEncoder(layer, 1, norm=nn.LayerNorm(16))
    normlab.convert(model, "rmsnorm", layers="norm")
    assert model.use_nested_tensor and model.layers[0].activation_relu_or_gelu
