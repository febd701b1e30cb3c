"""Real architectures by name, without weights: with other norms they still run and train."""

import json
from collections import UserDict

import pytest
import torch
from norm_layers_of_others import drawn
from torch import nn
from typer.testing import CliRunner

import normlab
from normlab.cli import app
from normlab.errors import NormLabError
from normlab.tools.forward_pass import call, first_tensor, training_step
from normlab.tools.norm_layers import find_norms
from normlab.tools.zoo import SHOWN, build_named, sample_inputs

NAMES = {  # name -> kind, how many norms become it, and how many are left if any
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
    "transformers:wav2vec2": ("rmsnorm", 7),
    "transformers:falcon_mamba": ("layernorm", 3, 6),
}


@pytest.mark.parametrize("name", NAMES)
def test_real_architectures_run_and_train(name):
    to, count, *left = NAMES[name]
    torch.manual_seed(0)
    model = build_named(name)
    assert model.training
    classes = {type(norm.module) for norm in find_norms(model) if norm.kind}
    done = normlab.convert(model, to)
    assert (len(done.replaced), len(done.left)) == (count, sum(left))
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


def test_what_is_shown_is_tested():
    assert set(SHOWN) <= set(NAMES)


def test_identical_conversion_of_a_whole_network_changes_no_output():
    for name, to in (
        ("timm:mobilenetv3_small_050", "batchnorm"),
        ("transformers:gemma2", "rmsnorm"),
    ):
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


def run(*arguments):
    return CliRunner().invoke(app, ["convert", *arguments])


def test_the_command_lists_and_shows():
    listed = run("transformers:llama", "--list")
    assert listed.exit_code == 0 and "LlamaRMSNorm" in listed.stdout and "rmsnorm" in listed.stdout
    table = run("transformers:llama", "transformers:gpt2", "--to", "layernorm")
    assert "5 LlamaRMSNorm" in table.stdout and "it is a layernorm already" in table.stdout
    one = run("transformers:llama", "--to", "layernorm", "--layers", "model.norm", "--json")
    assert [norm["after"] for norm in json.loads(one.stdout)] == [None] * 4 + ["layernorm(64, NTC)"]
    for name, near in (
        ("transformers:lama", "llama"),
        ("torchvision:resnet81", "resnet18"),
        ("timm:resnet10", "resnet10t"),
        ("timm:resnet10t.c3_in1", "resnet10t.c3_in1k"),
        ("resnet18", "torchvision:NAME"),
        ("no.such.module:build", "no module"),
    ):
        wrong = run(name)
        assert wrong.exit_code == 2 and near in wrong.stderr


def test_a_row_for_each_network_whatever_it_raises(monkeypatch):
    """`normlab convert`, the list cut short; then rows that fail, or that the norm refuses."""

    def rows(*arguments):
        done = run(*arguments, "--json")
        return done.exit_code, [(row["replaced"], row["step"]) for row in json.loads(done.stdout)]

    monkeypatch.setattr("normlab.tools.survey.SHOWN", ("transformers:llama", "transformers:gpt2"))
    assert rows("--to", "groupnorm") == (0, [("5 LlamaRMSNorm", "ok"), ("5 LayerNorm", "ok")])
    assert all(
        "ok" in line
        for line in run("--to", "groupnorm").stdout.splitlines()
        if "transformers:" in line
    )
    status, refused = rows("--to", "syncbatchnorm")
    assert status == 0 and all(
        step.startswith("refused: syncbatchnorm has no process group") for _, step in refused
    )
    status, (unknown, fine) = rows("transformers:lama", "transformers:gpt2", "--to", "rmsnorm")
    assert (
        status == 1
        and unknown[1].startswith("failed: unknown model")
        and fine == ("5 LayerNorm", "ok")
    )

    def broken(model, inputs):
        raise RuntimeError("no [/such] input\nwith more below")

    monkeypatch.setattr("normlab.tools.survey.training_step", broken)
    reason = "failed: RuntimeError: no [/such] input"
    assert rows("--to", "dyt") == (1, [("5 LlamaRMSNorm", reason), ("5 LayerNorm", reason)])
    assert reason in run("--to", "dyt").stdout
    wrong = run("--to", "gruopnorm")
    assert (
        wrong.exit_code == 2
        and "unknown norm 'gruopnorm': choose one of" in wrong.stderr
        and not wrong.stdout
    )


def test_a_mapping_is_keywords():
    inputs = UserDict(x=torch.ones(2, 3))  # as tokenizers return
    assert call(lambda x: {"y": UserDict(z=x + 1)}, inputs)["y"]["z"].eq(2).all()
    assert first_tensor(UserDict(none=None, y=UserDict(z=inputs["x"]))) is inputs["x"]


def test_a_function_of_the_working_folder_names_a_model(tmp_path, monkeypatch):
    lines = (
        "from torch import nn",
        "number = lambda: 3",
        "wide = lambda width: nn.LayerNorm(width)",
        "net = lambda: nn.LayerNorm(8)",
    )
    (tmp_path / "own_models.py").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    assert isinstance(build_named("own_models:net"), nn.LayerNorm)
    for name, words in (
        ("own_models:number", "makes a int"),
        ("own_models:wide", "needs arguments .*'width'"),
        ("own_models:other", "no function 'other'"),
    ):
        with pytest.raises(NormLabError, match=words):
            build_named(name)
