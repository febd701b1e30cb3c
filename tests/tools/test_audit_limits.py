"""What audits meet in other people's models, and cannot look into: a sentence or a line."""

import copy
from collections import UserDict

import pytest
import torch
import torch.nn.functional as F
from audited_networks import Language, images, names, network, tokens
from torch import nn
from typer.testing import CliRunner

import normlab
from normlab.cli import app
from normlab.errors import NormLabError
from normlab.norms import make_norm
from normlab.tools.audit import Evidence


@pytest.fixture(autouse=True)
def whatever_the_records_say(monkeypatch):
    monkeypatch.setattr(Evidence, "contradicted", lambda self: False)


def batchnorm():
    return make_norm("batchnorm", 8, "NTC")


def test_tensors_with_a_history_do_not_stand_in_the_way():
    model = network()
    with pytest.raises(RuntimeError, match="graph leaves"):
        model.losses = [model(images()).sum()]
        copy.deepcopy(model)
    assert names(model, images()) == [] and model.losses[0].grad_fn is not None
    assert "foldable" in names(model.eval(), images())
    model.reader = (line for line in "")
    with pytest.raises(NormLabError, match=r"cannot be copied \(TypeError"):
        normlab.audit(model, images())


def test_hooks_of_a_networks_own_library_are_part_of_it():
    """Networks of transformers collect hidden states by hooks, from their first call on."""
    model, seen = network(), []

    def own(*_):
        seen.append("own")

    own.__module__ = "transformers.utils.output_capturing"
    model[0].register_forward_hook(own)
    model[0].register_forward_hook(lambda *_: seen.append("user's"))
    normalized = names(model.eval(), images())
    assert "foldable" in normalized and set(seen) == {"own"}


def test_the_random_state_of_gpus_is_left_alone(monkeypatch):
    subjects = [(Language(batchnorm()), tokens()), (network(), images())]
    monkeypatch.setattr(torch, "manual_seed", lambda seed: pytest.fail("this seeds every GPU"))
    assert "leak" in names(*subjects[0]) and names(*subjects[1]) == []


@pytest.mark.gpu
def test_the_random_state_of_a_gpu_is_as_it_was():
    class Noisy(Language):
        def forward(self, ids):
            return super().forward(ids) + 0 * torch.rand(1, device=ids.device)

    model, ids = Noisy(batchnorm()).cuda(), tokens().cuda()
    state = torch.cuda.get_rng_state()
    assert "leak" in names(model, ids)
    assert torch.equal(torch.cuda.get_rng_state(), state)


def test_a_model_on_the_meta_device():
    model = network(bias=True).to("meta")
    found = normlab.audit(model, batch_per_device=2)
    assert [finding.name for finding in found] == ["tiny-batch", "bias-before-batch-norm"]
    assert "not looked for: what gains and running statistics hold, and eps" in str(found)
    assert names(model.eval()) == []
    with pytest.raises(NormLabError, match="leave out sample_batch"):
        normlab.audit(model, images())


def test_frozen_norms_without_an_eps():
    import normlab.models.torchvision_operators  # noqa: F401  (before torchvision)

    # isort: split
    from transformers.models.detr.modeling_detr import DetrFrozenBatchNorm2d

    model = network(DetrFrozenBatchNorm2d)
    model[1].running_mean.fill_(9.0)
    assert names(model, images(64)) == ["running-statistics-never-moved", "running-statistics-far"]


def test_outputs_that_show_no_leak():
    zero = Language(batchnorm())
    for parameter in zero.head.parameters():
        nn.init.zeros_(parameter)
    assert "leak" not in names(zero, tokens())
    zero.modality = "text"  # so that the model says that it is causal
    assert "leak" in names(zero, tokens())

    class NaNWithoutTheNorm(Language):
        """And not causal either way."""

        def forward(self, ids):
            x = self.tokens(ids) + self.tokens(ids).mean(1, keepdim=True)
            return self.head((30 - self.norm(100 * x).square()).sqrt())

    assert "leak" not in names(NaNWithoutTheNorm(batchnorm()), tokens())

    class AsWideAsItsTokensSay(Language):
        """As a model of speech, whose sounds last as long as the values of its tokens."""

        def forward(self, ids):
            y = self.head(self.norm(self.tokens(ids)))
            return y.repeat(1, 1, 1 + int(ids[0, -1]))

    assert "leak" not in names(AsWideAsItsTokensSay(batchnorm()), tokens())


@pytest.mark.parametrize(
    "norm, leaks", [(batchnorm(), True), (make_norm("layernorm", 8, "NTC"), False)]
)
def test_a_leak_beside_labels(norm, leaks):
    class WithLoss(Language):
        def forward(self, ids, labels):
            logits = super().forward(ids)
            return {
                "loss": F.cross_entropy(logits.flatten(0, 1), labels.flatten()),
                "states": (None, (logits,)),
            }

    assert ("leak" in names(WithLoss(norm), {"ids": tokens(), "labels": tokens()})) is leaks


def test_the_batch_and_the_output_may_be_any_mapping():
    class Mapped(Language):
        def forward(self, ids):
            return UserDict(logits=super().forward(ids))

    assert "leak" in names(Mapped(batchnorm()), UserDict(ids=tokens()))
    assert "tiny-batch" in names(Language(batchnorm()), UserDict(ids=tokens()[:2]))
    nested = {"batch": (tokens()[:2],)}
    assert "tiny-batch" in names(TakesNested(batchnorm()), nested)


def test_a_norm_may_be_called_by_keyword():
    class ByKeyword(Language):
        def forward(self, ids):
            return self.head(self.norm(x=self.tokens(ids).cumsum(1)))

    assert "leak" in names(ByKeyword(batchnorm()), tokens())
    model = ByKeyword(batchnorm()).eval()
    model.norm.running_mean.fill_(99.0)
    assert "running-statistics-far" in names(model, tokens())


class TakesNested(Language):
    def forward(self, batch):
        return super().forward(batch[0])


def test_a_norm_that_refuses_its_input_in_train_mode():
    class Pooled(Language):
        def forward(self, ids):
            x = self.tokens(ids)
            return self.head(x.cumsum(1) + self.norm(x[:, 0])[:, None])

    assert names(Pooled(nn.BatchNorm1d(8)), tokens()[:1]) == ["tiny-batch"]


@pytest.mark.parametrize(
    "norm",
    [make_norm("groupnorm", 8, num_groups=8), make_norm("instancenorm", 8), nn.InstanceNorm2d(8)],
)
def test_groups_of_one_value_that_the_layer_refuses(norm):
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.AdaptiveAvgPool2d(1), norm, nn.GroupNorm(2, 8))
    found = normlab.audit(model, images())
    assert [(f.name, f.layers) for f in found] == [("single-value-groups", ("2",))]
    assert "not looked for: what reaches the norms after 2" in str(found)
    with pytest.raises(NormLabError, match="cannot be called with sample_batch"):
        normlab.audit(nn.Sequential(norm), torch.ones(2, 3))


def test_norms_that_cannot_be_read_are_counted_apart():
    class Own(nn.BatchNorm2d):
        def forward(self, x):
            return 2 * super().forward(x)

    model = network(Own)
    model.append(nn.LayerNorm(5))
    text = str(normlab.audit(model, batch_per_device=2))
    assert text.startswith("0 findings in 1 norm layer\n2 more could not be read")
    assert "1: its forward is not that of BatchNorm2d" in text


@pytest.mark.parametrize(
    "model",
    [
        network(lambda c: make_norm("batchrenorm", c, momentum=0.9), bias=True),
        Language(make_norm("causal_batchnorm", 8, "NTC", momentum=0.9)),
    ],
)
def test_records_of_batch_norm_are_held_against_it_alone(model):
    assert names(model, batch_per_device=2) == []


def test_running_statistics_of_each_position_are_not_compared():
    model = Language(make_norm("causal_batchnorm", 8, "NTC"))
    for _ in range(50):
        model(tokens())
    assert names(model.eval(), tokens()) == []


def test_where_torch_fx_sees_nothing_no_bias_is_looked_for():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network(bias=True)

        def forward(self, x):
            return self.net(x) if x.sum() > 0 else x

    found = normlab.audit(Branching())
    assert len(found) == 0
    note = "bias-before-batch-norm at net.1 and 1 more: torch.fx cannot trace Branching"
    assert f"not looked for: {note}" in str(found)
    assert normlab.audit(network()).notes == ()


def test_the_command_does_without_a_sample_that_the_model_does_not_take():
    done = CliRunner().invoke(app, ["audit", "torchvision:r3d_18", "--batch-per-device", "2"])
    assert done.exit_code == 0 and "2 samples share statistics" in done.stdout
    assert (
        "groups of one value: the model does not take random input of shape (2, 3, 64, 64)"
        in done.stdout
    )
    done = CliRunner().invoke(app, ["audit", "torchvision:resnet18", "--batch-per-device", "0"])
    assert (
        done.exit_code == 2
        and "batch_per_device=0: give whole numbers of at least 1" in done.output
    )


def test_models_that_are_wrapped_by_fsdp_are_refused(group_of_one):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    model = fully_shard(network(), mesh=init_device_mesh("cpu", (1,)))
    with pytest.raises(NormLabError, match="wrapped by FSDP"):
        normlab.audit(model)


@pytest.mark.parametrize("batch", [{"ids": tokens()}, UserDict(ids=tokens()), (tokens(),)])
def test_a_leak_shows_in_a_batch_of_any_kind(batch):
    """A tokenizer of transformers gives a mapping that is no dict."""
    torch.manual_seed(0)
    model = Language(make_norm("batchnorm", 8, "NTC"))
    (found,) = [f for f in normlab.audit(model, batch, batch_per_device=64) if f.name == "leak"]
    assert "outputs of the first half change" in found.reason
