"""Where norms stand: in blocks whose arrangement is written out here, and in six known networks."""

import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from normlab.errors import NormLabError
from normlab.tools.norm_placement import norm_placement
from normlab.tools.norm_probe import Behaviour
from normlab.tools.tiny_transformers import build_tiny, tiny_inputs

WIDTH = 8
LAYER_NORM = Behaviour(centres=True, shifts=True, by_token=True)
RMS_NORM = Behaviour(centres=False, shifts=False, by_token=True)


class Branch(nn.Module):
    """With a sum inside (tanh GELU) that looks residual and is not, and a mask on the logits."""

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
    return norm_placement(model.eval(), {"ids": torch.arange(8).view(2, 4)})


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


def test_norms_are_seen_however_they_are_called():
    keyword = seen(Net(lambda x, f, norm, _: x + f(norm(input=x))))
    assert (keyword.placement, len(keyword.norms)) == ("pre", 3)

    def once_each(x, f, norm, _):
        return x + f(norm(x) + norm(input=x))

    assert [call.role for call in seen(Net(once_each)).norms] == ["before"] * 6


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
    # In each of 3 blocks query (twice), up and out, then the head. Only query reads the norm, up
    # what query made; with norms after the sums the first block reads the embedding itself, and
    # the head a norm.
    [("pre", 6), ("post", 5), ("none", 0), ("sandwich", 6)],
)
def test_operations_that_read_normed_values_only(name, normed):
    found = seen(Net(STEPS[name][0]))
    assert (found.operations, found.normed_operations) == (13, normed)
    assert seen(Net(STEPS["pre"][0], final=True)).normed_operations == 7


@pytest.mark.parametrize(
    ("model_type", "placement", "final", "kind", "roles"),
    [
        ("gpt2", "pre", True, LAYER_NORM, {"before": 4, "last": 1}),
        # The inner norm is in its head.
        (
            "bert",
            "post",
            False,
            LAYER_NORM,
            {"embedding": 1, "after sum": 3, "last": 1, "inner": 1},
        ),
        ("llama", "pre", True, RMS_NORM, {"before": 4, "last": 1}),
        ("t5", "pre", True, RMS_NORM, {"before": 10, "last": 2}),
        ("gemma2", "sandwich", True, RMS_NORM, {"before": 4, "after branch": 4, "last": 1}),
        # The inner norms are of queries and keys.
        ("olmo2", "output", True, RMS_NORM, {"inner": 4, "after branch": 4, "last": 1}),
    ],
)
def test_known_architectures(model_type, placement, final, kind, roles):
    model = build_tiny(model_type, **({"num_decoder_layers": 2} if model_type == "t5" else {}))
    found = norm_placement(model, tiny_inputs(model))
    assert (found.placement, found.final_norm) == (placement, final)
    assert {call.behaviour for call in found.norms} == {kind}
    assert {role: sum(call.role == role for call in found.norms) for role in roles} == roles
    assert len(found.norms) == sum(roles.values()) and found.functional == 0


def test_reads_sounds_and_images_too():
    net = build_tiny("resnet")
    found = norm_placement(net, tiny_inputs(net))
    assert found.operations == found.normed_operations > 10
    assert {call.kind for call in found.norms} == {"BatchNorm2d"}
    net = build_tiny("univnet")
    found = norm_placement(net, tiny_inputs(net))
    assert (found.norms, found.functional) == ((), 0) and found.operations > 10


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(NormLabError, match=r"pip install 'normlab\[models\]'"):
        build_tiny("gpt2")
