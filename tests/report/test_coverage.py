"""docs/coverage.md: every statement of the catalogue, with its claim or written out."""

import re
from types import SimpleNamespace

import pytest

from normlab.claims.registry import load_all, slugs
from normlab.errors import NormLabError
from normlab.report.coverage import Statement, coverage_page, statements

# The catalogue's names, in its order: sections A to F, then what was found in the documents later.
NAMES = """
norm-axes-only-difference bn-zero-mean-unit-var affine-undo gn-extremes ln-batch-independent
bn-batch1-fails bn1d-sequence-layout ln-chw-shape in-removes-contrast running-var-bias
bn-eval-deterministic bn-unstable-ar-inference missing-eval-bug conv-bias-redundant
gradaccum-fixes-bn ghostbn-combines-workers ddp-bn-local-stats syncbn-equals-global bn-fold-exact
ln-cannot-fold bn-speeds-training bn-lr-5-10x bn-init-insensitive bn-deeper-nets
norm-gradient-flow ics-explains-bn bn-smooths-loss no-norm-20-layers bn-batch-below-16
bn-batch2-coco-10map gn-ln-fix-small-batch bn-momentum-tiny-batch bn-running-stats-mismatch
bn-regularises bn-best-large-batch-vision gn-beats-ln-vision gn-group-count-matters
in-hurts-classification in-style-transfer bn-noniid-batches domain-shift-hurts-bn
bn-adapt-running-stats ln-in-robust-shift bn-adapt-rate transfer-frozen-live-bn bn-after-conv
bn-rnn-ineffective padding-dominant-reason nlp-batch-stats-unreliable bn-causal-leak
ln-beats-bn-transformer transformer-tokenwise rmsnorm-equal-loss rmsnorm-7-64-faster
norm-cost-at-depth postln-12-layers-warmup preln-24-no-warmup postln-warmup-ok deepnet-1000
preln-default-families rmsnorm-adoption ln-slower-spatial bn-ln-cost-comparable gn-overhead
bn-fold-latency fold-automatic syncbn-slowdown-10-30 no-cross-device-coupling
bn-breaks-distributed-varlen fp16-stats-overflow fp32-stats-fix larger-batch-helps-fp16
eps-low-precision lowprec-error-accumulates bn-quantised ln-in-no-mode-gap bn-masks-activations
bn-disable-affine gan-batch-correlation gan-bn-collapse seed-code-runs gn-divisibility
bn-running-ema hf-layernorm norm-between-every-op large-batch-fewer-updates tensorboard-monitoring
gan-avoid-bn detection-gn bn-large-batch-mlp activations-stable-range batch-required
feature-tied-to-token iid-samplewise-ln unlocked-152 bn-order-relu norms-improve-final-accuracy
"""
CATALOGUE = re.findall(r"\S+", NAMES)


def test_no_statement_of_the_catalogue_is_missing():
    assert [one.name for one in statements(slugs())] == CATALOGUE


def test_every_claim_of_a_document_decides_a_statement():
    found = statements(slugs())
    documents = {title for one in found for title in one.documents}
    covered = {one.claim for one in found}
    for claim in load_all():
        if set(claim.documents) & documents:
            assert claim.slug in covered, f"{claim.slug} is in no entry of statements.yaml"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("- name: nobody-wrote-this", "nobody-wrote-this must be a claim"),
        ("- name: gn-extremes\n  documents: [A lesson]\n  statement: Some.", "and not both"),
        ("- name: elsewhere\n  documents: [A lesson]", "elsewhere must be a claim"),
        ("- name: gn-extremes\n  why: no time", "keys that nobody reads"),
    ],
)
def test_an_entry_is_a_claim_or_written_out(tmp_path, entry, message):
    (tmp_path / "statements.yaml").write_text(entry)
    with pytest.raises(NormLabError, match=message):
        statements(slugs(), tmp_path / "statements.yaml")


def card(slug, verdict, documents, answer="It is so."):
    claim = SimpleNamespace(slug=slug, statement=f"Of {slug}.", documents=documents)
    return SimpleNamespace(
        claim=claim,
        verdict=verdict,
        answer=answer,
        file=f"topic/{slug}.py",
        stale=False,
        marks=[],
        history=[],
    )


def test_a_document_has_its_statements_and_no_others():
    cards = [
        card("here", "refuted", ("A lesson",)),
        card("open", "no data", ("A lesson", "A guide"), ""),
        card("asked", "supported", ("Practitioners' threads",)),
    ]
    every = [
        Statement("here", "here"),
        Statement("twice", "here"),
        Statement("open", "open"),
        Statement("later", None, ("A guide",), "Said and not tried."),
    ]
    page = coverage_page(cards, every)
    assert "Of 4 statements 3 have a claim, 2 of them with a verdict; 1 has no claim yet." in page
    _, guide, lesson, others = page.split("\n## ")
    assert guide.startswith("A guide") and "| Said and not tried. | no claim yet |  |" in guide
    assert "`here`" not in guide and "nothing yet" in guide
    # One claim stands once in a document, however many statements it decides.
    assert lesson.count("(../experiments/topic/here.py) | **refuted** | It is so. |") == 1
    assert "`asked`" in others and "`here`" not in others
