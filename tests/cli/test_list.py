"""`normlab list`: a line a claim, by topic, and what it can be narrowed by."""

import json

import pytest

from normlab.claims.registry import load_claim
from normlab.report.facets import norms_of


@pytest.fixture(scope="module")
def listed(normlab, tmp_path_factory):
    """What `normlab list *arguments` prints, of a results folder without verdicts."""
    folder = str(tmp_path_factory.mktemp("results"))

    def run(*arguments):
        return normlab("list", "--results", folder, *arguments)

    return run


def slugs(done):
    assert done.returncode == 0, done.stderr
    return {row["slug"] for row in json.loads(done.stdout)}


def test_a_line_a_claim_of_at_most_100_characters(listed):
    lines = listed().stdout.splitlines()
    assert max(map(len, lines)) <= 100
    heads = [line for line in lines[:-1] if not line.startswith(" ")]
    assert heads == sorted(heads) and "batch size" in heads
    claims = [line for line in lines if line.startswith("  ")]
    assert lines[-1].startswith(f"{len(claims)} of {len(claims)} claims")
    assert all("no data" in line for line in claims)
    (cut,) = [line for line in claims if "convert-bn-to-gn-cost" in line]
    assert cut.endswith("…")


def test_topic_document_norm_and_verdict_narrow_it_together(listed):
    topic = slugs(listed("--topic", "batch-size", "--json"))
    assert "bn-batch-below-16" in topic and "rmsnorm-equal-loss" not in topic
    groups = slugs(listed("--topic", "batch_size", "--norm", "groupnorm", "--json"))
    assert "gn-ln-fix-small-batch" in groups < topic
    walkthrough = slugs(listed("--document", "walkthrough", "--json"))
    assert "bn-batch-below-16" in walkthrough
    assert slugs(listed("--verdict", "no-data", "--json")) >= topic | walkthrough
    nothing = listed("--verdict", "refuted")
    assert nothing.returncode == 0 and nothing.stdout.startswith("0 of ")


@pytest.mark.parametrize(
    ("option", "choice"),
    [
        ("--topic", "batch_size"),
        ("--verdict", "partly supported"),
        ("--norm", "groupnorm"),
        ("--document", "Normalization Deep-Dive"),
    ],
)
def test_what_no_claim_has_is_refused_with_the_choices(listed, option, choice):
    done = listed(option, "gardening")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert f"unknown {option[2:]} 'gardening': choose one of" in done.stderr
    assert choice in done.stderr


def test_a_claim_is_about_the_norms_that_it_names():
    assert norms_of(load_claim("rmsnorm-equal-loss")) == ("layernorm", "rmsnorm")
    assert norms_of(load_claim("syncbn-equals-global")) == ("batchnorm", "syncbatchnorm")
    assert "instancenorm" in norms_of(load_claim("in-removes-contrast"))
    # `in` is a word of every sentence, `IN` is InstanceNorm.
    assert "instancenorm" not in norms_of(load_claim("bn-fold-exact"))


def test_json_says_what_a_trial_stands_for(listed):
    rows = {row["slug"]: row for row in json.loads(listed("--json").stdout)}
    assert rows["bn-batch-below-16"]["stands_for"] == ["small batches of each GPU"]
    assert rows["bn-batch-below-16"]["topic"] == "batch_size"
