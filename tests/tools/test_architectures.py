"""What is measured of an architecture, on blocks whose arrangement is written out here, and on six known ones."""

import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from normlab.errors import NormLabError
from normlab.tools.architectures import Behaviour, behaviour, build, example, inspect

WIDTH = 8
LAYER_NORM, RMS_NORM = Behaviour(True, True, True), Behaviour(False, False, True)
PLAIN = Behaviour(True, False, True)  # layer norm without a bias
ACROSS = Behaviour(True, True, False)  # several vectors share statistics


class Branch(nn.Module):
    """With a residual-looking sum inside (tanh GELU) that is none, and a mask that is added to the logits."""

    def __init__(self):
        super().__init__()
        self.query, self.up, self.out = (
            nn.Linear(WIDTH, 5),
            nn.Linear(WIDTH, 16),
            nn.Linear(16, WIDTH),
        )

    def forward(self, x, mask):
        mixed = ((self.query(x) @ self.query(x).transpose(1, 2)) + mask).softmax(-1) @ x
        h = self.up(mixed)
        return self.out(0.5 * h * (1 + torch.tanh(0.8 * (h + 0.044715 * h**3))))


class Net(nn.Module):
    def __init__(self, step, norm=nn.LayerNorm, depth=3, final=False):
        super().__init__()
        self.step, self.embedding, self.head = step, nn.Embedding(10, WIDTH), nn.Linear(WIDTH, 10)
        self.branches = nn.ModuleList(Branch() for _ in range(depth))
        self.first, self.second = (
            nn.ModuleList(norm(WIDTH) for _ in range(depth)) for _ in range(2)
        )
        self.final = norm(WIDTH) if final else nn.Identity()

    def forward(self, ids):
        x, mask = self.embedding(ids), torch.zeros(4, 4)
        for branch, first, second in zip(self.branches, self.first, self.second, strict=True):
            x = self.step(x, lambda x, branch=branch: branch(x, mask), first, second)
        return self.head(self.final(x))


def in_place(x, f, norm, _):
    y = f(norm(x))
    y += x
    return y


def parallel(x, f, norm, other):
    return f(norm(x)) + F.dropout(f(other(x)), 0.5, training=False) + x


STEPS = {
    "pre": (lambda x, f, norm, _: x + f(norm(x)), "pre"),
    "pre, in place": (in_place, "pre"),
    "pre, parallel": (parallel, "pre"),
    "post": (lambda x, f, norm, _: norm(x + f(x)), "post"),
    "deepnorm": (lambda x, f, norm, _: norm(x * 1.7 + f(x)), "post"),
    "sandwich": (lambda x, f, first, second: x + second(f(first(x))), "sandwich"),
    "scaled sandwich": (lambda x, f, first, second: x + 0.1 * second(f(first(x))), "sandwich"),
    "output": (lambda x, f, norm, _: x + norm(f(x)), "output"),
    "none": (lambda x, f, *_: x + f(x), "none"),
    "no skip": (lambda x, f, norm, _: f(norm(x)), "none"),
    "pre and post": (lambda x, f, first, second: second(x + f(first(x))), "mixed"),
}


def seen(model):
    return inspect(model.eval(), {"ids": torch.arange(8).view(2, 4)})


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("norm", [nn.LayerNorm, nn.RMSNorm])
def test_placement_is_found_whatever_the_norm(name, norm):
    step, placement = STEPS[name]
    for final in (False, True):
        found = seen(Net(step, norm, final=final and placement not in ("post", "mixed")))
        assert found.placement == placement
        assert len(found.branches) == (0 if name == "no skip" else 3)
        if placement in ("pre", "sandwich", "output"):
            assert found.final_norm == final
        assert {call.behaviour for call in found.norms} <= {
            LAYER_NORM if norm is nn.LayerNorm else RMS_NORM
        }


def test_roles_of_norms():
    roles = [call.role for call in seen(Net(STEPS["sandwich"][0], final=True)).norms]
    assert roles == ["before", "after branch"] * 3 + ["last"]
    assert [call.role for call in seen(Net(STEPS["post"][0])).norms] == [
        "after sum",
        "after sum",
        "last",
    ]
    inner = seen(Net(lambda x, f, norm, _: x + f(norm(F.relu(f(x))))))
    assert inner.placement == "none" and {call.role for call in inner.norms} == {"inner"}
    functional = seen(Net(lambda x, f, *_: x + f(F.layer_norm(x, (WIDTH,)))))
    assert (functional.norms, functional.functional) == ((), 3)


def test_blocks_that_differ_are_mixed():
    pre, post = STEPS["pre"][0], STEPS["post"][0]
    model = Net(
        lambda x, f, first, second: (pre if first is model.first[0] else post)(x, f, first, second)
    )
    assert seen(model).placement == "mixed"


@pytest.mark.parametrize(
    ("name", "normed"),
    # In each of 3 blocks query (twice), up and out, then the head. Only query reads the norm, up what query made; with
    # norms after the sums the first block reads the embedding itself, and the head a norm.
    [("pre", 6), ("post", 5), ("none", 0), ("sandwich", 6)],
)
def test_operations_that_read_normed_values_only(name, normed):
    found = seen(Net(STEPS[name][0]))
    assert (found.operations, found.normed_operations) == (13, normed)
    assert seen(Net(STEPS["pre"][0], final=True)).normed_operations == 7


class Mean2(nn.Module):
    """RMSNorm by hand, with its gain stored as its distance from 1."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(6))

    def forward(self, x):
        return x * x.square().mean(-1, keepdim=True).add(1e-6).rsqrt() * (1 + self.gain)


class Position(nn.Module):
    def forward(self, x):
        return torch.arange(x.numel(), dtype=x.dtype).view_as(x)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [(nn.LayerNorm(6), LAYER_NORM), (nn.LayerNorm(6, bias=False), PLAIN), (nn.RMSNorm(6), RMS_NORM),
     (nn.LayerNorm(6, elementwise_affine=False), PLAIN), (Mean2(), RMS_NORM), (nn.BatchNorm1d(3), ACROSS),
     (nn.GroupNorm(1, 3), ACROSS), (nn.Linear(6, 6), None), (nn.Tanh(), None), (nn.Softmax(-1), None),
     (nn.Dropout(0.0), None), (nn.Identity(), None), (Position(), None)],
)  # fmt: skip
def test_a_norm_is_what_ignores_the_scale(layer, expected):
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    assert behaviour(layer.eval(), torch.ones(4, 3, 6)) == expected
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    assert not layer.training


@pytest.mark.parametrize(
    ("model_type", "placement", "final", "kind", "roles"),
    [("gpt2", "pre", True, LAYER_NORM, {"before": 4, "last": 1}),
     ("bert", "post", False, LAYER_NORM, {"embedding": 1, "after sum": 3, "last": 1, "inner": 1}),  # inner: in its head
     ("llama", "pre", True, RMS_NORM, {"before": 4, "last": 1}),
     ("t5", "pre", True, RMS_NORM, {"before": 10, "last": 2}),
     ("gemma2", "sandwich", True, RMS_NORM, {"before": 4, "after branch": 4, "last": 1}),
     ("olmo2", "output", True, RMS_NORM, {"inner": 4, "after branch": 4, "last": 1})],  # inner: of queries and keys
)  # fmt: skip
def test_known_architectures(model_type, placement, final, kind, roles):
    model = build(model_type, **({"num_decoder_layers": 2} if model_type == "t5" else {}))
    found = inspect(model, example(model))
    assert (found.placement, found.final_norm) == (placement, final)
    assert {call.behaviour for call in found.norms} == {kind}
    assert {role: sum(call.role == role for call in found.norms) for role in roles} == roles
    assert len(found.norms) == sum(roles.values()) and found.functional == 0


def test_reads_sounds_and_images_too():
    net = build("resnet")
    found = inspect(net, example(net))
    assert found.operations == found.normed_operations > 10 and {n.kind for n in found.norms} == {
        "BatchNorm2d"
    }
    net = build("univnet")
    found = inspect(net, example(net))
    assert (found.norms, found.functional) == ((), 0) and found.operations > 10


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(NormLabError, match=r"pip install 'normlab\[models\]'"):
        build("gpt2")
