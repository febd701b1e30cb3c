"""The two sides of `normlab bench lm-step` compute the same; how fast they come out is no test's
business."""

from functools import partial

import pytest
import torch

from normlab.measure.timing import lm_step
from normlab.models.transformer import Transformer
from normlab.norms import make_norm


def test_the_bare_loop_trains_the_same_network():
    ours = Transformer(
        (8,),
        11,
        partial(make_norm, "layernorm"),
        torch.Generator().manual_seed(0),
        depth=2,
        width=16,
    )
    bare = lm_step.GPT(8, 11, width=16, depth=2)
    # Both hold their parameters in the order in which they use them, and ours a norm before its
    # branch.
    assert [p.shape for p in ours.parameters()] == [p.shape for p in bare.parameters()]
    with torch.no_grad():
        for a, b in zip(ours.parameters(), bare.parameters(), strict=True):
            a.normal_(float(a.dim() == 1), 0.3, generator=torch.Generator().manual_seed(a.numel()))
            b.copy_(a)
    ids = torch.randint(11, (3, 8), generator=torch.Generator().manual_seed(1))
    logits = ours(ids)
    torch.testing.assert_close(bare(ids), logits)
    logits.square().mean().backward()
    bare(ids).square().mean().backward()
    for a, b in zip(ours.parameters(), bare.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_sides_take_turns_in_whole_chunks(monkeypatch):
    seen = []

    def compare(subject, baseline, rounds, min_seconds):
        for side in (baseline, subject, subject, baseline):
            before = seen.count("ours"), seen.count("bare")
            side()
            after = seen.count("ours"), seen.count("bare")
            chunk = (lm_step.CHUNK_STEPS, 0) if side is subject else (0, lm_step.CHUNK_STEPS)
            assert (after[0] - before[0], after[1] - before[1]) == chunk
        raise InterruptedError("enough")

    monkeypatch.setattr(lm_step, "compare", compare)
    original, bare = Transformer.forward, lm_step.GPT.forward
    monkeypatch.setattr(
        Transformer, "forward", lambda self, ids: (seen.append("ours"), original(self, ids))[1]
    )
    monkeypatch.setattr(
        lm_step.GPT, "forward", lambda self, ids: (seen.append("bare"), bare(self, ids))[1]
    )
    with pytest.raises(InterruptedError):
        lm_step._row(lm_step.Size(8, 1, 2, 8), rounds=2)


def test_a_fit_that_breaks_ends_the_benchmark(monkeypatch):
    monkeypatch.setattr(Transformer, "forward", lambda self, ids: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lm_step._row(lm_step.Size(8, 1, 2, 8), rounds=2)
