"""Real architectures, built by name without weights: their norms are replaced, and they still run and train."""

import json

import pytest
import torch
from norm_layers_of_others import drawn
from torch import nn
from typer.testing import CliRunner

import normlab
from normlab.cli import app
from normlab.errors import NormLabError
from normlab.model_calls import call, first_tensor, training_step
from normlab.model_names import build_named, sample_inputs
from normlab.recognition import find_norms

NAMES = {  # name -> kind, and how many norms it has
    "torchvision:resnet18": ("groupnorm", 20),
    "torchvision:mobilenet_v3_small": ("groupnorm", 34),
    "torchvision:densenet121": ("groupnorm", 121),
    "torchvision:efficientnet_b0": ("channel_layernorm", 49),
    "torchvision:shufflenet_v2_x0_5": ("batchrenorm", 56),
    "torchvision:convnext_tiny": ("groupnorm", 23),
    "torchvision:swin_t": ("rmsnorm", 29),
    "timm:resnet10t": ("frn", 14),
    "timm:regnetx_002": ("groupnorm", 44),
    "timm:mobilenetv3_small_050": ("groupnorm", 34),
    "timm:convnext_atto": ("rmsnorm", 17),
    "timm:vit_tiny_patch16_224": ("dyt", 25),
    "transformers:bert": ("rmsnorm", 6),
    "transformers:gpt2": ("rmsnorm", 5),
    "transformers:llama": ("layernorm", 5),
    "transformers:t5": ("layernorm", 24),
    "transformers:gemma2": ("dyt", 9),
    "transformers:convnext": ("groupnorm", 10),
    "transformers:resnet": ("groupnorm", 19),
    "transformers:whisper": ("batchnorm", 12),
}


@pytest.mark.parametrize("name", NAMES)
def test_real_architectures_run_and_train(name):
    to, count = NAMES[name]
    torch.manual_seed(0)
    model = build_named(name)
    assert model.training
    classes = {type(norm.module) for norm in find_norms(model)}
    done = normlab.convert(model, to)
    assert len(done.replaced) == count and not done.left
    assert not classes & {type(module) for module in model.modules()}
    inputs = sample_inputs(name, model)
    learned = [p for norm in find_norms(model) for p in norm.module.parameters()]
    before = [parameter.detach().clone() for parameter in learned]
    output = training_step(model, inputs)
    assert bool(output.isfinite().all())
    gradients = [parameter.grad for parameter in learned if parameter.grad is not None]
    assert len(gradients) >= 0.9 * len(learned)  # a pooler's norm has no part in the first output
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    assert any(not torch.equal(old, new) for old, new in zip(before, learned, strict=True))
    with torch.no_grad():
        model.eval()
        assert bool(first_tensor(call(model, inputs)).isfinite().all())


def test_identical_conversion_of_a_whole_network_changes_no_output():
    for name, to in (("timm:mobilenetv3_small_050", "batchnorm"), ("transformers:gemma2", "rmsnorm")):
        torch.manual_seed(0)
        model = drawn_norms(build_named(name)).eval()
        inputs = sample_inputs(name, model)

        def output(model=model, inputs=inputs):
            with torch.no_grad():
                return first_tensor(call(model, inputs))

        before = output()
        assert normlab.convert(model, to, from_=to).replaced
        torch.testing.assert_close(output(), before, rtol=1e-4, atol=1e-4)


def drawn_norms(model):
    for norm in find_norms(model):
        drawn(norm.module)
    return model


def test_the_command_lists_and_shows():
    def run(*arguments):
        return CliRunner().invoke(app, ["convert", *arguments])

    listed = run("transformers:llama", "--list")
    assert listed.exit_code == 0 and "LlamaRMSNorm" in listed.stdout and "rmsnorm" in listed.stdout
    table = run("transformers:llama", "transformers:gpt2", "--to", "layernorm")
    assert "5 LlamaRMSNorm" in table.stdout and "it is a layernorm already" in table.stdout
    one = run("transformers:llama", "--to", "layernorm", "--layers", "model.norm", "--json")
    assert [norm["after"] for norm in json.loads(one.stdout)] == [None] * 4 + ["layernorm(64, NTC)"]
    for name, near in (("transformers:lama", "llama"), ("torchvision:resnet81", "resnet18"),
                       ("timm:resnet10", "resnet10t"), ("resnet18", "torchvision:NAME"),
                       ("no.such.module:build", "no module")):  # fmt: skip
        wrong = run(name)
        assert wrong.exit_code == 2 and near in wrong.stderr


def test_a_function_of_the_working_folder_names_a_model(tmp_path, monkeypatch):
    (tmp_path / "own_models.py").write_text("from torch import nn\nnumber = lambda: 3\nnet = lambda: nn.LayerNorm(8)\n")
    monkeypatch.chdir(tmp_path)
    assert isinstance(build_named("own_models:net"), nn.LayerNorm)
    for name, words in (("own_models:number", "makes a int"), ("own_models:other", "no function 'other'")):
        with pytest.raises(NormLabError, match=words):
            build_named(name)
