"""What is read of the trials of a claim has words, so that no figure is headed by a raw name."""

import math
import re
from contextlib import suppress
from dataclasses import replace

import pytest
from made_up_evidence import evidence_of

from normlab.claims.figure import HeatMap, Sweep
from normlab.claims.metric_words import has_words, metric_in_words
from normlab.claims.metrics import logarithm, metric, percent
from normlab.claims.registry import load_claim, slugs
from normlab.report.panels import Watched

LONGEST = 84  # characters of a heading


def shown(claim):
    """The metrics that panels and figures of the claim show, and the labels of its measures."""
    watched = Watched({})
    protocol = claim.protocols.get("quick") or next(iter(claim.protocols.values()))
    for part in claim.parts:
        records = evidence_of(claim, protocol, part.quantity.arms).records
        evidence = replace(watched, records=records)
        for read in filter(None, (part.quantity.read, part.quantity.beside)):
            # What was read before something that is not made up was missing counts as well.
            with suppress(Exception):
                read(evidence)
    names = {re.sub(r" \(\d+\)$", "", label) for label in watched.measures} | set(watched.reads)
    if isinstance(claim.figure, Sweep | HeatMap) and claim.figure.metric:
        names.add(claim.figure.metric)
    return names


@pytest.mark.parametrize("slug", slugs())
def test_every_metric_that_is_shown_has_words(slug):
    claim = load_claim(slug)
    names = shown(claim)
    assert [name for name in sorted(names) if not has_words(name, claim.metrics)] == []
    # Where rules read nothing by its name, the first metric of a record is shown.
    assert names or claim.metrics or claim.trial is None
    assert has_words(claim.tuning_metric, claim.metrics)
    labels = [claim.metric(name).label for name in sorted({*names, *claim.metrics})]
    assert [label for label in labels if len(label) > LONGEST or "_error" in label] == []
    assert len(set(labels)) >= len(labels) - ("log_share" in claim.metrics), labels


def test_words_of_a_claim_come_first_and_keep_unit_and_scale():
    own = {"test_accuracy": "accuracy after it", "kept": percent("kept"), "own": "own, ulp"}
    accuracy = metric_in_words("test_accuracy", own)
    assert (accuracy.label, accuracy.shown(0.5)) == ("accuracy after it, %", 50.0)
    assert metric_in_words("kept", own).name == "kept"
    assert (metric_in_words("kept", own).label, metric_in_words("kept", own).shown(0.25)) == (
        "kept, %",
        25.0,
    )
    assert metric_in_words("own", own).label == "own, ulp"
    assert metric_in_words("adapted_256_accuracy", {}).label == (
        "accuracy on corrupted images, statistics of groups of 256 images, %"
    )
    assert metric_in_words("no_such", own) == metric("no_such")
    assert has_words("own", own) and not has_words("no_such", own)


def test_a_logarithm_is_shown_as_what_it_is_of():
    known = metric_in_words("log_size", {"log_size": logarithm("size"), "a": logarithm("a", 10)})
    assert (known.label, known.name) == ("size", "log_size")
    assert known.shown(math.log(3.0)) == pytest.approx(3.0)
    assert math.isfinite(known.shown(1e6))


def test_words_of_rules_are_as_they_were():
    """They stand in the versions of claims: figures have words of their own."""
    assert metric("test_accuracy").words == "test accuracy"
    assert metric("precise_test_accuracy").words == (
        "test accuracy with statistics re-estimated over the training split"
    )
    assert metric("test_loss").words == "test loss"
