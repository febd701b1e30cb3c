"""audit: what a training step does that a look at the layers does not show."""

import copy

import pytest
import torch
import torch.nn.functional as F
from audited_networks import images, names, network
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset
from typer.testing import CliRunner

import normlab
from normlab.cli import app
from normlab.errors import NormLabError
from normlab.norms import make_norm
from normlab.tools.audit import Evidence


@pytest.fixture(autouse=True)
def whatever_the_records_say(monkeypatch):
    monkeypatch.setattr(Evidence, "contradicted", lambda self: False)


class Checkpointed(nn.Module):
    def __init__(self, reentrant=False, **options):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 1, bias=False)
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8, **options))
        self.last, self.reentrant = nn.BatchNorm2d(8), reentrant
        self.use_checkpoint = True

    def forward(self, x):
        x = checkpoint(self.block, self.stem(x), use_reentrant=self.reentrant)
        return self.last(F.relu(x)).mean((2, 3))


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing_counts_each_batch_twice(reentrant):
    model, batch = Checkpointed(reentrant), images().requires_grad_(True)
    before = copy.deepcopy(model.state_dict())
    (found,) = normlab.audit(model, batch)
    assert (found.name, found.layers) == ("statistics-counted-twice", ("block.1",))
    assert "momentum 0.0513 in place of 0.1" in found.reason
    assert "no claim decides yet" in str(found) and batch.grad is None
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    # What it says is what happens.
    repaired = Checkpointed(reentrant, momentum=1 - 0.9**0.5)
    model(images()).sum().backward()
    repaired(images()).sum().backward()
    plain = nn.Sequential(model.stem, copy.deepcopy(model.block))
    plain[1][1].reset_running_stats()
    plain(images())
    expected = plain[1][1].running_mean
    assert float((repaired.block[1].running_mean - expected).abs().max()) < 1e-6
    assert float((model.block[1].running_mean - expected).abs().max()) > 1e-4


@pytest.mark.parametrize("options", [{"momentum": None}, {"momentum": 0.0}, {"momentum": 1.0}])
def test_averages_that_a_second_look_leaves_alone(options):
    assert "statistics-counted-twice" not in names(Checkpointed(**options), images())
    assert "statistics-counted-twice" not in names(Checkpointed().eval(), images())


def test_checkpointing_is_named_where_it_is_not_seen():
    found = normlab.audit(Checkpointed(), batch_per_device=64)
    assert len(found) == 0 and "counted twice by activation" in found.notes[0]
    assert "use_checkpoint is True" in found.notes[0]

    class Training(Checkpointed):
        def forward(self, x):
            assert not self.training, "needs labels"
            return super().forward(x)

    found = normlab.audit(Training(), images())
    assert "twice: one step in train mode fails (AssertionError: needs labels)" in str(found)


class Dropping(nn.Module):
    def __init__(self, drop, between=None, traced=True):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.drop = nn.Linear(6, 32), drop
        self.between, self.norm = between or nn.Identity(), nn.BatchNorm1d(32)
        self.traced = traced

    def forward(self, x):
        if not self.traced and x.sum() > 1e9:
            return x
        x = F.relu(self.first(x))
        return self.norm(self.between(self.drop(x)))


class Functional(nn.Module):
    def forward(self, x):
        return F.dropout(x, 0.5, self.training)


ROWS = torch.randn(256, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "drop, between, found",
    [
        (nn.Dropout(0.5), None, True),
        (Functional(), None, True),
        (nn.Dropout(0.5), nn.Linear(32, 32, bias=False), True),
        (nn.Dropout(0.5), nn.LayerNorm(32), False),
        (nn.Dropout(0.5), nn.BatchNorm1d(32, affine=False), None),
        (nn.Dropout(0.0), None, False),
        (nn.AlphaDropout(0.5), None, False),
        (nn.Dropout(0.5).eval(), None, False),
    ],
)
def test_dropout_before_batch_norm(drop, between, found):
    layers = {True: ("norm",), False: None, None: ("between",)}[found]
    for traced, sample in ((True, ROWS), (True, None), (False, ROWS)):
        model = Dropping(drop, between, traced)
        all_found = normlab.audit(model, sample, batch_per_device=64)
        dropped = [f for f in all_found if f.name == "dropout-before-batch-norm"]
        assert [f.layers for f in dropped] == ([layers] if layers else []), (traced, sample)
    model.eval()
    assert "dropout-before-batch-norm" not in names(model, ROWS)


def test_the_variance_that_dropout_adds_is_measured():
    (found,) = (f for f in normlab.audit(Dropping(nn.Dropout(0.5)), ROWS) if "dropout" in f.name)
    told = float(found.reason.partition("their input is ")[2].split()[0])
    with torch.no_grad():
        x = F.relu(Dropping(nn.Identity()).first(ROWS))
    # Half of the values, each doubled: the variance is 2 E[x²] - E[x]².
    expected = ((2 * x.square().mean(0) - x.mean(0).square()) / x.var(0, correction=0)).mean()
    assert told == pytest.approx(float(expected), rel=0.1)
    small = Dropping(nn.Dropout(0.01))
    assert "dropout-before-batch-norm" not in names(small, ROWS)
    without_sample = str(normlab.audit(small, batch_per_device=64))
    assert "larger than without the dropout drop (p = 0.01)" in without_sample


def test_a_last_batch_of_one():
    found = normlab.audit(network(), images(), dataset_size=33)
    (one,) = found
    assert (one.name, one.layers) == ("last-batch-of-one", ("1", "4"))
    assert "a batch of 1 after those of 16" in one.reason and "of its own" in one.reason
    rows = nn.Sequential(nn.Linear(6, 4, bias=False), nn.BatchNorm1d(4))
    (one,) = normlab.audit(rows, ROWS[:16], dataset_size=33)
    assert "it is refused, and training ends there" in one.reason
    with pytest.raises(ValueError, match="more than 1 value"):
        rows(ROWS[:1])
    for size, world in ((32, 1), (34, 1), (66, 2)):
        options = {"batch_per_device": 16, "world_size": world}
        given = names(network(), dataset_size=size, **options)
        assert ("last-batch-of-one" in given) is (size == 66)
    synchronized = network(nn.SyncBatchNorm)
    assert names(synchronized, batch_per_device=16, world_size=2, dataset_size=66) == []
    ghost = network(lambda c: make_norm("batchnorm", c, ghost_batch=16))
    assert names(ghost, batch_per_device=64, dataset_size=64 + 17) == ["last-batch-of-one"]
    with pytest.raises(NormLabError, match="without the size of a batch"):
        normlab.audit(network(), dataset_size=33)
    command = ["audit", "torchvision:resnet18", "--dataset-size", "33"]
    assert "last-batch-of-one" in CliRunner().invoke(app, command).stdout


@pytest.mark.parametrize("drop_last", [False, True])
def test_the_last_batch_of_a_loader(drop_last):
    loader = DataLoader(TensorDataset(torch.zeros(33, 1)), batch_size=16, drop_last=drop_last)
    expected = [] if drop_last else ["last-batch-of-one"]
    assert names(network(), loader=loader) == expected
    by_hand = DataLoader(range(33), batch_sampler=[[0], [1, 2]])
    assert names(network(), loader=by_hand) == []


def test_weight_decay_on_gains_and_shifts():
    model = network()
    decayed = [p for p in model.parameters() if p.ndim > 1] + [model[4].weight]
    others = [p for p in model.parameters() if all(p is not one for one in decayed)]
    groups = [{"params": others, "weight_decay": 0.0}, {"params": decayed}]
    (found,) = normlab.audit(model, optimizer=torch.optim.AdamW(groups))
    assert (found.name, found.layers) == ("decayed-gains", ("4",))
    assert "parameter group 1 of AdamW has weight_decay 0.01, and 1 gain and no shifts" in str(
        found
    )
    (all_of_them,) = normlab.audit(model, optimizer=[torch.optim.AdamW(model.parameters())])
    assert "2 gains and 2 shifts" in all_of_them.reason
    assert names(model, optimizer=torch.optim.Adam(model.parameters())) == []
    model[4].requires_grad_(False).eval()
    assert "decayed-gains" not in names(model, optimizer=torch.optim.AdamW(groups))


@pytest.mark.parametrize("momentum, found", [(0.99, True), (0.9, True), (0.5, False), (1.0, False)])
def test_momentum_that_looks_like_that_of_keras(momentum, found):
    model = network(lambda c: nn.BatchNorm2d(c, momentum=momentum))
    for size in (None, 256):
        assert (names(model, batch_per_device=size) == ["momentum"]) is found
    if momentum == 0.99:
        (one,) = normlab.audit(model, batch_per_device=256)
        assert one.layers == ("1", "4") and "0.01 would be that one's" in one.reason
        assert "x 8 = 8.16 samples" in str(normlab.audit(model, batch_per_device=8))


def test_a_backbone_that_is_frozen_as_a_whole():
    model = network().requires_grad_(False)
    (found,) = normlab.audit(model)
    assert found.name == "frozen-with-moving-statistics" and "all that the network has" in str(
        found
    )
    assert "frozen-with-moving-statistics" not in names(model.eval())
    # Without gain and shift, a norm is frozen with what is around it.
    bare = nn.ModuleDict({"body": network(lambda c: nn.BatchNorm2d(c, affine=False))})
    bare["head"] = nn.Linear(2, 2)
    assert names(bare) == []
    bare["body"].requires_grad_(False)
    assert [f.layers for f in normlab.audit(bare)] == [("body.1", "body.4")]


def test_activations_in_place_are_no_dropout():
    model = nn.Sequential(
        nn.Linear(6, 8, bias=False),
        nn.BatchNorm1d(8),
        nn.ReLU(inplace=True),
        nn.Linear(8, 8, bias=False),
        nn.BatchNorm1d(8),
        nn.Dropout(0.5),
    )
    assert names(model, ROWS) == []
