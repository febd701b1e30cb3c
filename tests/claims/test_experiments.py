"""Every experiment file: what it must say, and that those which measure something themselves run from end to end."""

import json
import re

import pytest

from normlab.claims.profiles import STRENGTH, VARIANTS
from normlab.claims.registry import EXPERIMENTS, docstring, load_claim, slugs
from normlab.config.remembered import plain_config, trial_config
from normlab.data import load_data
from normlab.data.availability import PUBLISHED

SLUGS = slugs()
DIRECT = [slug for slug in SLUGS if load_claim(slug).trial is not None]
DOCUMENTS = {
    "Differences between Batch, Layer, Group and Instance Norm",
    "BatchNorm vs LayerNorm",
    "Normalization Deep-Dive",
    "How BN, IN and LN differ",
    "Batch Normalization, a walkthrough",
}

PAPERS = {  # of newer work, which no document speaks of
    "Geometric Interpretation of Layer Normalization (Gupta et al. 2026)",
    "Peri-LN (Kim et al. 2025)",
    "Query-Key Normalization (Henry et al. 2020)",
    "The Curse of Depth (Sun et al. 2025)",
    "Transformers without Normalization (Zhu et al. 2025)",
}


@pytest.mark.parametrize("slug", SLUGS)
def test_says_all_that_a_reader_needs(slug):
    claim = load_claim(slug)
    path = EXPERIMENTS / f"{slug.replace('-', '_')}.py"
    assert claim.slug == slug == path.stem.replace("_", "-")
    assert len(path.read_text().splitlines()) <= 105
    text = docstring(slug)
    assert f"normlab run {slug}" in text and re.search("second|minute|nothing", text)
    assert (
        claim.statement.endswith(".")
        and claim.documents
        and set(claim.documents) <= DOCUMENTS | PAPERS
    )
    for said in (claim.source, claim.prediction, claim.would_change, *claim.caveats):
        assert said.strip()
    assert claim.caveats and any(
        word in claim.prediction for word in ("supported", "refuted", "inconclusive")
    )


@pytest.mark.parametrize("slug", SLUGS)
def test_rules_have_numbers_and_names_are_unique(slug):
    claim = load_claim(slug)
    for names in ([part.name for part in claim.parts], [arm.name for arm in claim.arms]):
        assert names and len(set(names)) == len(names)
    for part in claim.parts:
        assert part.statement and re.search(r"\d|\bno\b|\bnone\b", part.rule), part.rule


@pytest.mark.parametrize("slug", SLUGS)
def test_protocols(slug):
    claim = load_claim(slug)
    assert {"smoke", "cpu"} <= set(claim.protocols) <= {"smoke", *STRENGTH}
    if claim.trial is None:
        assert "gpu" in claim.protocols or any(
            "cpu profile only" in caveat for caveat in claim.caveats
        )
    assert not any("data=cifar10" in override for override in claim.protocols["smoke"].overrides)
    for name in (name for names in VARIANTS.values() for name in names if name in claim.protocols):
        overrides = claim.protocols[name].overrides
        # what a direct trial trains on must be what the engine looks for before it chooses a protocol
        assert (
            claim.trial is None or claim.protocols[name].options.get("overrides", ()) == overrides
        )
    different = {
        (arm.overrides, tuple(arm.options.items()), arm.evaluations, arm.tune) for arm in claim.arms
    }
    assert len(different) == len(claim.arms)


@pytest.mark.parametrize(
    "slug", [slug for slug in SLUGS if "cpu-embedded" in load_claim(slug).protocols]
)
def test_embedded_data_are_as_large_as_what_is_asked_of_them(slug):
    claim = load_claim(slug)
    embedded = claim.protocols["cpu-embedded"].overrides
    different = {
        json.dumps(plain_config(embedded + arm.overrides)["data"]): embedded + arm.overrides
        for arm in claim.arms
    }
    for overrides in different.values():
        cfg = trial_config(overrides).data
        if cfg.name not in PUBLISHED:
            assert load_data(cfg, 0).steps_per_epoch > 0
