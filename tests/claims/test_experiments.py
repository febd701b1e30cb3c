"""Every experiment file: what it must say, and that its parts, arms, answers and figure fit
together."""

import ast
import json
import re
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_evidence import evidence_of

from normlab.claims.design import Design
from normlab.claims.evidence import PartMissing, PartWithoutData
from normlab.claims.figure import Cells, HeatMap, NormalizationBatch, Sweep
from normlab.claims.power import check_powers
from normlab.claims.profiles import STRENGTH, VARIANTS
from normlab.claims.registry import docstring, experiment_file, load_claim, slugs
from normlab.claims.rules import Rate, Stated
from normlab.claims.version import version
from normlab.config.cache import plain_config
from normlab.config.compose import compose
from normlab.data import load_data
from normlab.data.availability import PUBLISHED
from normlab.records.store import RESULTS, Store
from normlab.records.verdict import VERDICTS, PartVerdict

SLUGS = slugs()
DOCUMENTS = {
    "Differences between Batch, Layer, Group and Instance Norm",
    "BatchNorm vs LayerNorm",
    "Normalization Deep-Dive",
    "How BN, IN and LN differ",
    "Batch Normalization, a walkthrough",
}
THREADS = {"Practitioners' threads"}  # what users of libraries ask, by number in the file
PAPERS = {  # of newer work, which no document speaks of
    "Accurate, Large Minibatch SGD (Goyal et al. 2017)",
    "Geometric Interpretation of Layer Normalization (Gupta et al. 2026)",
    "Just One Layer Norm Guarantees Stable Extrapolation (Ziomek et al. 2025)",
    "On Scale Vectors in Large Language Models (Wang et al. 2026)",
    "Peri-LN (Kim et al. 2025)",
    "Query-Key Normalization (Henry et al. 2020)",
    "The Curse of Depth (Sun et al. 2025)",
    "Training BatchNorm and Only BatchNorm (Frankle et al. 2021)",
    "Transformers without Normalization (Zhu et al. 2025)",
}
FIELDS = ("Said by", "Primary source", "Measured", "Cost")  # of a docstring, in this order
FIRST_SEED = 100  # of what trains or times: the seeds below were seen before the rules of today
DECIDED = ("supported", "refuted", "partly supported", "inconclusive")
NOT_MADE_UP = (
    "the deepest here",
    "several GPUs are needed",
    "BatchNorm's by budget",
    "too little is learnt to tell",
)
every_claim = pytest.mark.parametrize("slug", SLUGS)


@every_claim
def test_docstring_has_the_same_fields_in_every_file(slug):
    first, blank, *lines = docstring(slug).strip().splitlines()
    assert first.endswith(".") and not blank
    begun = [line.split(":")[0] for line in lines if line.startswith(FIELDS)]
    assert begun == list(FIELDS)
    cost = " ".join(lines).partition("Cost: ")[2]
    assert cost.startswith(f"normlab run {slug} --profile full ")
    assert re.search("second|minute|hour|nothing", cost)


def test_costs_in_the_files_are_what_the_designs_cost():
    script = runpy.run_path(str(Path(__file__).resolve().parents[2] / "scripts" / "cost_lines.py"))
    for slug, line in script["cost_lines"]().items():
        assert line in docstring(slug) + "\n", "run python scripts/cost_lines.py"


@every_claim
def test_says_all_that_a_reader_needs(slug):
    claim = load_claim(slug)
    assert claim.slug == slug
    assert claim.statement.endswith(".")
    assert claim.documents and set(claim.documents) <= DOCUMENTS | PAPERS | THREADS
    assert re.search("supported|refuted|inconclusive", claim.prediction)
    assert claim.caveats
    for text in (claim.source, claim.prediction, claim.would_change, *claim.caveats):
        assert text.strip()


@every_claim
def test_file_is_short_and_reads_no_names_apart(slug):
    path = experiment_file(slug)
    source = path.read_text()
    assert path.stem.replace("_", "-") == slug
    assert len(source.splitlines()) <= 250
    # What a figure or a rule needs of an arm are its coordinates, not the words of its name.
    imported = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import)]
    assert "re" not in [alias.name for node in imported for alias in node.names]


@every_claim
def test_answers_are_one_sentence_with_numbers_of_parts(slug):
    claim = load_claim(slug)
    seen = PartVerdict("", "", "", "", "supported", effect=0.51, low=0.42, high=0.63, unit="", n=5)
    parts = {part.name: replace(seen, name=part.name) for part in claim.parts}
    for verdict in DECIDED:
        answer = claim.answers.answer(verdict, parts)
        assert answer[0].isupper() or answer[0].isdigit() or answer.startswith("torch")
        assert answer.endswith(".") and "?" not in answer and "{" not in answer
        # A clause without a number reads "?", and what was never measured is said so.
        claim.answers.answer(verdict, {name: replace(seen, effect=None) for name in parts})


@every_claim
def test_clauses_are_few_and_each_says_which_arms_it_reads(slug):
    claim = load_claim(slug)
    assert 1 <= len(claim.clauses) <= 6
    names = {arm.name for arm in claim.arms}
    for part in claim.parts:
        # Else a seed that is missing in any arm would count for none of them.
        assert part.quantity.arms and set(part.quantity.arms) <= names


@every_claim
def test_quantities_read_numbers_of_every_seed(slug):
    claim = load_claim(slug)
    for name in {"full", "gpu"} & set(claim.protocols):
        protocol = claim.protocols[name]
        for part in claim.parts:
            evidence = evidence_of(claim, protocol, part.quantity.arms)
            try:
                values = part.quantity.read(evidence)
            except PartWithoutData:
                continue  # a device or tool that is nowhere here
            except PartMissing as missing:
                # A cell of another device's grid, as a part that decides nothing; or what made-up
                # numbers do not have.
                other_device = claim.timed and part not in claim.clauses
                assert other_device or str(missing).endswith(NOT_MADE_UP)
                continue
            for sample in values if isinstance(values, tuple) else (values,):
                assert np.isfinite(sample).all()
            if part.quantity.beside:
                assert part.quantity.beside(evidence)


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
    assert {"smoke", "quick", "full"} <= set(claim.protocols) <= {"smoke", *STRENGTH}
    assert claim.trial is not None or "gpu" in claim.protocols
    assert not any("data=cifar10" in override for override in claim.protocols["smoke"].overrides)
    known = {name for names in VARIANTS.values() for name in names}
    for name in known & set(claim.protocols):
        protocol = claim.protocols[name]
        # What a direct trial trains on must be what the engine looks for before it chooses a
        # protocol.
        assert claim.trial is None or protocol.options.get("overrides", ()) == protocol.overrides
        # All test images, in every profile but smoke.
        if name != "smoke" and "data=cifar10" in protocol.overrides and "gradient" not in slug:
            assert not any(one.startswith("data.eval_subset=") for one in protocol.overrides)


@every_claim
def test_a_claim_has_a_version_and_a_plan_under_every_protocol(slug):
    claim = load_claim(slug)
    versions = {version(claim, name) for name in claim.protocols}
    assert all(re.fullmatch("[0-9a-f]{8}", one) for one in versions)
    protocol = claim.protocols["full"]
    first, arms = protocol.looks.sizes[0], len(claim.arms)
    assert len(Design(claim, protocol).progress({}, first).jobs) >= first * arms


@every_claim
def test_a_clause_of_known_noise_can_be_decided(slug):
    claim = load_claim(slug)
    for name in {"quick", "full", "gpu"} & set(claim.protocols):
        check_powers(claim, claim.protocols[name])
    for part in claim.parts:
        assert (part.expected is None) == (part.noise is None)


@every_claim
def test_a_share_can_be_told_from_its_threshold_at_the_last_look(slug):
    """Of seeds that all agree: five of five do not tell a share from a half."""
    claim = load_claim(slug)
    for part in claim.clauses:
        for name in {"quick", "full", "gpu"} & set(claim.protocols):
            if not isinstance(part.rule, Rate) or part.quantity.unit != "of the seeds":
                continue
            looks = claim.protocols[name].looks
            agree = np.full(looks.most, float(part.rule.above))
            assert part.rule.decide(agree, "", looks.level).verdict == "supported"


@every_claim
def test_what_trains_or_times_has_fresh_seeds_and_the_rest_whole_records(slug):
    claim = load_claim(slug)
    if claim.first_seed != 0:
        assert claim.first_seed >= FIRST_SEED
        return
    assert claim.trial is not None and not claim.timed
    assert not any(protocol.overrides for protocol in claim.protocols.values())
    records = Store(RESULTS).records
    jobs = Design(claim, claim.protocols["full"]).progress({}).jobs
    # Of a claim that nobody has run yet there is none.
    if any(record.claim == slug for record in records.values()):
        assert all(job.key in records for job in jobs)


@pytest.mark.parametrize(
    ("slug", "name"),
    [
        (slug, name)
        for slug in SLUGS
        for name in ("quick-embedded", "full-embedded")
        if name in load_claim(slug).protocols
    ],
)
def test_embedded_data_are_as_large_as_what_is_asked_of_them(slug, name):
    claim = load_claim(slug)
    different = {}
    for arm in claim.arms:
        overrides = claim.protocols[name].overrides + arm.overrides
        different[json.dumps(plain_config(overrides)["data"])] = overrides
    for overrides in different.values():
        cfg = compose(overrides).data
        if cfg.name not in PUBLISHED:
            assert load_data(cfg, 0).steps_per_epoch > 0
