"""Records that nobody measured: a claim's own plan, filled by a function, in a folder of its
own."""

import math
from pathlib import Path

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.design import Design
from normlab.claims.looks import Looks
from normlab.claims.quantity import difference
from normlab.claims.rules import AtLeast, Within
from normlab.records.provenance import code_state
from normlab.records.record import Record
from normlab.records.store import Store

DEVICE = "cpu (x86_64, 1 thread)"


def fill(
    folder: Path, claim: Claim, measure, profile="quick", leave_out=lambda job: False
) -> Store:
    """Append what `measure(job, noise)` gives, metrics or a part of a Record's fields, until the
    plan is done."""
    protocol = claim.protocols[profile]
    with Store(folder) as store:
        design = Design(claim, protocol)
        while jobs := [job for job in design.progress(store.done()).jobs if not leave_out(job)]:
            for job in jobs:
                noise = np.random.default_rng([job.seed, *job.arm.encode()]).normal()
                store.append(claim.slug, record(claim, job, measure(job, noise)))
    return store


def record(claim: Claim, job, fields) -> Record:
    given = fields if "metrics" in fields else {"metrics": fields}
    config = {"options": dict(job.options or ())}
    if job.options is None:
        config = {"data": {"name": "cifar10", "subset": 5000, "image_size": 16}}
    base = {
        "config": config,
        "status": "ok",
        "device": DEVICE,
        "data": {"name": "cifar10 (JPEG copy)", "fingerprint": "abc"},
        "code": code_state(),
        "versions": {"python": "3.11.2", "torch": "2.13.0"},
        "duration_s": 4.5,
    }
    about = {"claim": claim.slug, "arm": job.arm, "seed": job.seed, "stage": "evaluate"}
    return Record(job.key, **about, **{**base, **given})


def accuracy(value: float, **more) -> dict:
    return {
        "test_accuracy": value,
        "val_accuracy": value,
        "test_loss": 1.0,
        "trivial_loss": math.log(10),
        **more,
    }


def claim(slug="made-up", parts=2, seeds=5, rules=(), **more) -> Claim:
    """Two arms, `new` and `old`, and up to two parts (or `rules`)."""
    rules = rules or (
        Part("gain", "new beats old by a point", difference("new", "old"), AtLeast(1.0)),
        Part("loss", "the loss is the same", difference("new", "old", "test_loss"), Within(1.0)),
    )
    base = {
        "statement": "New is better than old.",
        "documents": ("A <b>bold</b> & plain document",),
        "source": "Nobody.",
        "prediction": "supported",
        "clauses": rules[:parts],
        "answers": Answers("New is better.", "New is no better."),
        "first_seed": 0,
        "arms": (Arm("new", ("norm=frn",)), Arm("old")),
        "protocols": {"quick": Protocol(("data=digits",), looks=Looks((seeds,)))},
        "caveats": ("Invented | numbers.",),
        "would_change": "Real ones.",
    }
    return Claim(slug, **{**base, **more})


def better(gain: float, noise: float = 0.004):
    """`measure` for `claim`: new is `gain` better than old."""
    return lambda job, draw: accuracy(0.6 + gain * (job.arm == "new") + noise * draw)
