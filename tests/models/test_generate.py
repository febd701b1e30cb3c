"""Decoding step by step against the full forward pass; what is drawn; `normlab sample` on a
trained checkpoint."""

import copy
import json
from functools import partial

import pytest
import torch
from typer.testing import CliRunner

from normlab.cli import app
from normlab.errors import NormLabError
from normlab.models.attention import Cache
from normlab.models.generate import generate, token_wise
from normlab.models.rnn import RNN
from normlab.models.transformer import PLACEMENTS, Transformer
from normlab.norms import Norm, make_norm
from normlab.tools.sample import encode, sample

CONTEXT, VOCABULARY = 9, 7


def build(kind="layernorm", dtype=torch.float64, context=CONTEXT, model=Transformer, **options):
    size = {"width": 16, "depth": 1}
    if model is Transformer:
        size |= {"num_heads": 4, "depth": 2}
    generator = torch.Generator().manual_seed(0)
    network = model(
        (context,), VOCABULARY, partial(make_norm, kind), generator, **size, **options
    ).to(dtype)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(float(parameter.dim() == 1), 0.3, generator=generator)
        for buffer in network.buffers():
            if buffer.is_floating_point():  # running statistics as training leaves them
                buffer.uniform_(0.5, 2.0, generator=generator)
    return network.eval()


def tokens(n=3, t=CONTEXT):
    return torch.randint(VOCABULARY, (n, t), generator=torch.Generator().manual_seed(1))


CASES = [
    *({"placement": placement} for placement in PLACEMENTS),
    {"qk_norm": True, "tied": False, "placement": "deepnorm"},
    {"layer_scaling": True, "init": "xavier"},
    {"kind": "batchnorm"},
    {"kind": "batchnorm", "placement": "post", "qk_norm": True},
]


@pytest.mark.parametrize("options", CASES, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("parts", [[1] * CONTEXT, [4, 1, 3, 1]], ids=str)
def test_decoding_with_the_cache_is_the_full_forward_pass(options, dtype, tolerance, parts):
    model, ids = build(dtype=dtype, **options), tokens()
    cache = Cache()
    logits = torch.cat([model(part, cache) for part in ids.split(parts, dim=1)], dim=1)
    torch.testing.assert_close(
        logits, model(ids), rtol=tolerance, atol=tolerance * float(logits.detach().abs().max())
    )
    assert cache.length == CONTEXT
    with pytest.raises(NormLabError, match="at most 9"):
        model(ids[:, :1], cache)


def drawn_without_cache(model, ids, length, seed):
    """At temperature 4, from full forward passes over the last CONTEXT tokens."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(length):
        logits = model(ids[:, -CONTEXT:] if isinstance(model, Transformer) else ids)
        new = torch.multinomial(
            (logits[:, -1].detach().float() / 4).softmax(1), 1, generator=generator
        )
        ids = torch.cat((ids, new), dim=1)
    return ids[:, -length:]


@pytest.mark.parametrize(
    "options",
    [*CASES, {"kind": "groupnorm"}, {"kind": "causal_batchnorm"}, {"model": RNN}],
    ids=str,
)
@pytest.mark.parametrize("prompt", [1, 5, CONTEXT, CONTEXT + 4])
def test_text_is_that_of_full_forward_passes_over_a_window(options, prompt):
    model, ids = build(**options), tokens(t=prompt)
    expected = drawn_without_cache(model, ids, 12, seed=4)
    assert torch.equal(
        generate(model, ids, 12, 4.0, generator=torch.Generator().manual_seed(4)), expected
    )
    assert len(expected.unique()) > 2


def test_the_cache_is_used_until_the_context_is_full():
    model, read = build(), []
    model.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0].shape[1]))
    generate(model, tokens(t=4), 8)
    assert read == [4, 1, 1, 1, 1, 1, CONTEXT, CONTEXT]


def test_norms_that_mix_or_count_positions_are_found_out():
    assert token_wise(build("batchnorm"), CONTEXT) and token_wise(
        build("rmsnorm", qk_norm=True), CONTEXT
    )
    for kind in ("groupnorm", "instancenorm", "causal_batchnorm"):
        assert not token_wise(build(kind), CONTEXT)
    by_batch = Transformer(
        (CONTEXT,),
        VOCABULARY,
        partial(make_norm, "batchnorm", statistics="batch"),
        torch.Generator(),
        depth=3,
        width=64,
    )
    assert not token_wise(by_batch.eval(), CONTEXT)


class RunningSize(Norm):
    """A norm of somebody's own, whose statistics one token is enough for."""

    def __init__(self, num_features, layout):
        super().__init__(num_features, layout)
        self.register_buffer("size", torch.ones(()))

    def forward(self, x):
        if self.training:
            self.size.lerp_(x.detach().square().mean().sqrt(), 0.1)
        return x / self.size


def test_finding_out_moves_no_running_statistics():
    model = Transformer(
        (CONTEXT,), VOCABULARY, RunningSize, torch.Generator().manual_seed(0), depth=1, width=16
    )
    before = copy.deepcopy(model.state_dict())
    token_wise(model, CONTEXT)
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())


def test_draws_follow_the_model():
    """Relative frequencies of 5,000 draws against softmax(logits / T), each within 5 standard
    errors."""
    model = build()
    ids = tokens(1, 4)
    logits = model(ids)[0, -1].detach()
    n = 5_000
    for temperature, top_k in ((1.0, None), (2.0, None), (4.0, 3), (1.0, 99)):
        kept = logits.clone()
        kept[logits.argsort(descending=True)[top_k or VOCABULARY :]] = -torch.inf
        expected = (kept / temperature).softmax(0)
        drawn = generate(
            model,
            ids.expand(n, -1),
            1,
            temperature,
            top_k,
            generator=torch.Generator().manual_seed(2),
        )
        observed = torch.bincount(drawn.flatten(), minlength=VOCABULARY) / n
        assert ((observed - expected).abs() <= 5 * (expected * (1 - expected) / n).sqrt()).all()


def test_temperature_0_takes_the_most_likely_token():
    model, ids = build(), tokens()
    new = generate(model, ids[:, :3], 4, temperature=0)
    for step in range(4):
        seen = torch.cat((ids[:, :3], new[:, :step]), dim=1)
        assert torch.equal(new[:, step], model(seen)[:, -1].argmax(1))
    assert torch.equal(generate(model, ids[:, :3], 4, 1.0, 1), new)


def test_a_seed_repeats_the_text_and_the_mode_is_left_as_it_was():
    model = build().train()
    texts = [
        generate(model, tokens(), 12, generator=torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    ]
    assert torch.equal(texts[0], texts[1]) and not torch.equal(texts[0], texts[2])
    assert model.training and texts[0].shape == (3, 12)
    assert generate(model, tokens(), 0).shape == (3, 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prompt_ids": torch.zeros(1, 0, dtype=torch.long)}, "at least one token"),
        ({"length": -1}, "0 or more"),
        ({"temperature": -0.1}, "above it"),
        ({"temperature": float("nan")}, "above it"),
        ({"top_k": 0}, "at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused(options, words):
    with pytest.raises(NormLabError, match=words):
        generate(build(), **{"prompt_ids": tokens(), "length": 3, **options})


RUN = [
    "model=transformer",
    "data=pydoc",
    "model.depth=1",
    "model.width=16",
    "data.context=32",
    "data.subset=20000",
    "data.eval_subset=2000",
    "trainer.max_steps=30",
    "trainer.checkpoint_every=30",
    "logger=none",
    "hydra.run.dir=run",
]


def test_text_from_a_checkpoint_of_train(train, tmp_path):
    done = train(*RUN)
    assert done.returncode == 0, done.stderr
    checkpoint = tmp_path / "run" / "last.ckpt"
    prompt = "The import statement"
    done = CliRunner().invoke(
        app, ["sample", str(checkpoint), "--prompt", prompt, "--length", "40", "--seed", "3"]
    )
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(prompt) and len(done.stdout) == len(prompt) + 40 + 1
    assert done.stdout[:-1] == sample(checkpoint, prompt, length=40, seed=3)
    assert done.stdout[:-1] != sample(checkpoint, prompt, length=40, seed=4)

    record = tmp_path / "run" / "record.json"
    text = record.read_text()
    record.unlink()  # the run is not at its end yet: Hydra's copy of the configuration is there
    assert sample(checkpoint, prompt, length=40, seed=3) == done.stdout[:-1]
    changed = json.loads(text)
    changed["config"]["model"]["width"] = 32
    record.write_text(json.dumps(changed))
    with pytest.raises(NormLabError, match="not those of the configuration"):
        sample(checkpoint, prompt, length=1)

    lonely = tmp_path / "last.ckpt"
    checkpoint.rename(lonely)
    for path, words in ((checkpoint, "no such file"), (lonely, "in its run directory")):
        refused = CliRunner().invoke(app, ["sample", str(path)])
        assert (
            refused.exit_code == 2 and words in refused.stderr and "Traceback" not in refused.stderr
        )


def test_prompts_are_encoded_by_the_vocabulary():
    class Data:
        name, vocabulary, num_outputs = "letters", "abc", 3

    assert encode("cab", Data) == [2, 0, 1]
    with pytest.raises(NormLabError, match="'d'"):
        encode("cad", Data)
    with pytest.raises(NormLabError, match="empty"):
        encode("", Data)
    Data.num_outputs = 4
    assert encode("cad", Data) == [2, 0, 3]
