"""`normlab run --norm`: another norm under a claim's protocol, which leaves the claim's own
verdict alone."""

import numpy as np
import pytest

from normlab.claims.claim import Protocol
from normlab.claims.design import Design
from normlab.claims.looks import Looks
from normlab.claims.registry import load_all, load_claim
from normlab.claims.run.guests import _in_words, compare, norm_overrides, with_guest
from normlab.claims.run.request import RunRequest
from normlab.claims.run.session import missing_jobs
from normlab.errors import NormLabError
from normlab.records.record import Record
from normlab.records.store import Store


def test_a_guest_takes_every_place_of_its_host_and_changes_nothing_else():
    claim = load_claim("gn-ln-fix-small-batch")
    guests, places = with_guest(claim, "my.Norm")
    assert guests.arms[: len(claim.arms)] == claim.arms and guests.parts == claim.parts
    by_name = {arm.name: arm for arm in guests.arms}
    assert places
    for guest, host in places.items():
        ours, theirs = by_name[guest].overrides, by_name[host].overrides
        assert set(ours) - set(theirs) == {"norm=custom", "norm.target=my.Norm"}
        assert set(theirs) - set(ours) == {"norm=layernorm"}
        assert by_name[guest].tune == by_name[host].tune


def test_claims_that_train_several_norms_take_guests():
    taking = 0
    for claim in load_all():
        if claim.trial is not None:
            with pytest.raises(NormLabError, match="compares no norms by training"):
                with_guest(claim, "frn")
        elif (
            len({part for arm in claim.arms for part in arm.overrides if part.startswith("norm=")})
            > 1
        ):
            taking += bool(with_guest(claim, "frn")[1])
    assert taking > 10


def test_a_guest_that_is_an_arm_already_is_not_run_twice():
    claim = load_claim("gn-beats-ln-vision")
    guests, places = with_guest(claim, "groupnorm")
    assert len({arm.name for arm in guests.arms}) == len(guests.arms)
    assert set(places) <= {arm.name for arm in guests.arms}


def test_names_that_are_neither_kind_nor_path_are_refused():
    assert norm_overrides("frn") == ("norm=frn",)
    with pytest.raises(NormLabError, match="choose one of adain"):
        norm_overrides("fern")


def test_the_comparison_is_of_two_samples(tmp_path):
    claim, places = with_guest(load_claim("gn-beats-ln-vision"), "frn")
    (guest, host), *_ = places.items()
    protocol = claim.protocols["quick"]
    fixed = Protocol(protocol.overrides, looks=Looks((3,)))
    with Store(tmp_path) as store:
        for arm, values in ((guest, (0.5, 0.6, 0.7)), (host, (0.45, 0.56, 0.64))):
            for seed, by_rate in Design(claim, fixed).progress({}).tried[arm].items():
                metrics, job = {"test_accuracy": values[seed - claim.first_seed]}, by_rate[None]
                store.append(
                    claim.slug,
                    Record(job.key, {}, claim.slug, arm, seed, "evaluate", "ok", metrics=metrics),
                )
        row = next(row for row in compare(claim, places, fixed, store) if row.guest == guest)
    assert (row.guest_mean, row.host, row.host_mean) == ("60", host, "55")
    assert row.finding.startswith("+5 [") and row.finding.endswith("points, n = 3")


def test_no_data_is_said(tmp_path):
    claim, places = with_guest(load_claim("gn-beats-ln-vision"), "frn")
    for row in compare(claim, places, claim.protocols["quick"], Store(tmp_path)):
        assert "no seed" in row.finding


def test_an_interval_needs_two_seeds():
    assert _in_words((np.array([1.0]), np.array([0.0])), "points") == "+1 points, n = 1"
    assert _in_words((np.array([1.0, 1.0]), np.zeros(2)), "points") == "+1 [1, 1] points, n = 2"


@pytest.mark.parametrize("norm", ["torch.nn.RMSNorm", "torch.nn.InstanceNorm1d"])
def test_a_class_that_has_no_place_is_refused_before_a_trial_is_planned(norm):
    with pytest.raises(NormLabError, match=rf"norm\.target={norm} .*(NCHW|NC)"):
        missing_jobs(RunRequest(slugs=("gn-ln-fix-small-batch",), norm=norm))


def test_a_class_that_has_a_place_is_planned():
    jobs = missing_jobs(RunRequest(slugs=("gn-ln-fix-small-batch",), norm="torch.nn.BatchNorm2d"))
    assert any("norm.target=torch.nn.BatchNorm2d" in job.overrides for job in jobs)
