"""Every experiment file: what it must say, and that its parts, arms and figure fit together."""

import ast
import json
import re

import pytest

from normlab.claims.figure import Cells, HeatMap, NormalizationBatch, Sweep
from normlab.claims.profiles import STRENGTH, VARIANTS
from normlab.claims.registry import docstring, experiment_file, load_claim, slugs
from normlab.claims.rules import Stated
from normlab.config.cache import plain_config
from normlab.config.compose import compose
from normlab.data import load_data
from normlab.data.availability import PUBLISHED
from normlab.records.verdict import VERDICTS

SLUGS = slugs()
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
FIELDS = ("Said by", "Primary source", "Measured", "Cost")  # of a docstring, in this order
every_claim = pytest.mark.parametrize("slug", SLUGS)


@every_claim
def test_docstring_has_the_same_fields_in_every_file(slug):
    first, blank, *lines = docstring(slug).strip().splitlines()
    assert first.endswith(".") and not blank
    begun = [line.split(":")[0] for line in lines if line.startswith(FIELDS)]
    assert begun == list(FIELDS)
    cost = " ".join(lines).partition("Cost: ")[2]
    assert cost.startswith(f"normlab run {slug} ")
    assert re.search("second|minute|nothing", cost)


@every_claim
def test_says_all_that_a_reader_needs(slug):
    claim = load_claim(slug)
    assert claim.slug == slug
    assert claim.statement.endswith(".")
    assert claim.documents and set(claim.documents) <= DOCUMENTS | PAPERS
    assert re.search("supported|refuted|inconclusive", claim.prediction)
    assert claim.caveats
    for text in (claim.source, claim.prediction, claim.would_change, *claim.caveats):
        assert text.strip()


@every_claim
def test_file_is_short_and_reads_no_names_apart(slug):
    path = experiment_file(slug)
    source = path.read_text()
    assert path.stem.replace("_", "-") == slug
    assert len(source.splitlines()) <= 200
    # What a figure or a rule needs of an arm are its coordinates, not the words of its name.
    imported = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import)]
    assert "re" not in [alias.name for node in imported for alias in node.names]


@every_claim
def test_rules_say_their_own_numbers(slug):
    for part in load_claim(slug).parts:
        assert part.statement and part.quantity.words
        assert part.rule_words.endswith(part.rule.words)
        assert re.search(r"\d", part.rule.words) or isinstance(part.rule, Stated)
        # The words of the quantity leave what is asked of it to the rule.
        assert not re.search(r"\brule\b|supported|refuted|TOST", part.quantity.words)


@every_claim
def test_what_names_a_number_stands_before_it(slug):
    for part in load_claim(slug).parts:
        assert part.quantity.unit_first == part.quantity.unit.startswith("largest")


@every_claim
def test_zones_are_in_order_and_of_known_verdicts(slug):
    for part in load_claim(slug).parts:
        zones = part.rule.zones()
        edges = [edge for zone in zones for edge in (zone.low, zone.high)]
        assert edges == sorted(edges)
        assert all(zone.low < zone.high for zone in zones)
        assert {zone.verdict for zone in zones} <= set(VERDICTS)


@every_claim
def test_names_are_unique(slug):
    claim = load_claim(slug)
    for names in ([part.name for part in claim.parts], [arm.name for arm in claim.arms]):
        assert names and len(set(names)) == len(names)
    configurations = {
        (arm.overrides, tuple(arm.options.items()), arm.evaluations, arm.tune) for arm in claim.arms
    }
    assert len(configurations) == len(claim.arms)


@pytest.mark.parametrize("slug", [slug for slug in SLUGS if load_claim(slug).figure])
def test_a_figure_draws_arms_that_have_its_coordinates(slug):
    claim = load_claim(slug)
    figure, names = claim.figure, {arm.name for arm in claim.arms}
    coordinates: set[str] = set()
    if isinstance(figure, Sweep | HeatMap):
        coordinates = {figure.x, *figure.by}
    elif isinstance(figure, NormalizationBatch):
        coordinates = {"norm", "normalization_batch"}
        assert set(figure.lines) <= {arm.at.get("norm") for arm in claim.arms}
    assert any(coordinates <= set(arm.at) for arm in claim.arms)
    if isinstance(figure, Sweep | NormalizationBatch):
        assert set(figure.bands) <= names
    if isinstance(figure, Cells):
        assert set(figure.arms) <= names


@every_claim
def test_coordinates_of_arms_tell_them_apart(slug):
    claim = load_claim(slug)
    drawn = [tuple(sorted(arm.at.items())) for arm in claim.arms if arm.at]
    if isinstance(claim.figure, Sweep | HeatMap | NormalizationBatch):
        assert len(set(drawn)) == len(drawn)


@every_claim
def test_protocols(slug):
    claim = load_claim(slug)
    assert {"smoke", "cpu"} <= set(claim.protocols) <= {"smoke", *STRENGTH}
    if claim.trial is None:
        only_cpu = any("cpu profile only" in caveat for caveat in claim.caveats)
        assert "gpu" in claim.protocols or only_cpu
    assert not any("data=cifar10" in override for override in claim.protocols["smoke"].overrides)
    known = {name for names in VARIANTS.values() for name in names}
    for name in known & set(claim.protocols):
        protocol = claim.protocols[name]
        # What a direct trial trains on must be what the engine looks for before it chooses a
        # protocol.
        assert claim.trial is None or protocol.options.get("overrides", ()) == protocol.overrides


@pytest.mark.parametrize(
    "slug", [slug for slug in SLUGS if "cpu-embedded" in load_claim(slug).protocols]
)
def test_embedded_data_are_as_large_as_what_is_asked_of_them(slug):
    claim = load_claim(slug)
    different = {}
    for arm in claim.arms:
        overrides = claim.protocols["cpu-embedded"].overrides + arm.overrides
        different[json.dumps(plain_config(overrides)["data"])] = overrides
    for overrides in different.values():
        cfg = compose(overrides).data
        if cfg.name not in PUBLISHED:
            assert load_data(cfg, 0).steps_per_epoch > 0
