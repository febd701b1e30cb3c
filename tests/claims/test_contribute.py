"""Records of another machine: sent as a bundle, checked on reading, kept apart, and shown."""

import json
from dataclasses import replace

import pytest
from made_up_evidence import _timed_names

from normlab.claims.design import Design
from normlab.claims.registry import load_claim
from normlab.claims.run import contribute as module
from normlab.claims.run.accept import accept
from normlab.claims.run.benchmarks import Benchmark, rows_by_machine
from normlab.claims.run.contribute import collect
from normlab.claims.verdicts import verdict
from normlab.cli.bench import print_kept
from normlab.cli.contribute import contribute
from normlab.errors import NormLabError
from normlab.records import bundle as bundles
from normlab.records.bundle import read_bundle, to_text
from normlab.records.machines import machine_of
from normlab.records.private import telling
from normlab.records.record import Record
from normlab.records.store import Store
from normlab.records.tree import here
from normlab.records.verdict import read_verdicts, to_json
from normlab.report.again import again_in_words, again_marks
from normlab.report.cards import build_card
from normlab.report.claim_text import claim_text
from normlab.report.pages import claim_page, links
from normlab.report.verdict_table import verdict_page

SLUG = "bn-ln-cost-comparable"
CPU, GPU = "cpu (x86_64, 1 thread)", "NVIDIA H200"
HERE, THERE = "AMD EPYC, AVX2", "Intel Xeon, AVX512"
CLAIM = load_claim(SLUG)


def timed(folder, device, processor, ratio=0.0, profile="quick", **more):
    """A store in which every trial of the claim has been run on that machine."""
    protocol = CLAIM.protocols[profile]
    arms = {arm.name: arm for arm in CLAIM.arms}
    with Store(folder) as store:
        for job in Design(CLAIM, protocol).progress({}).jobs:
            names = _timed_names(CLAIM, protocol, arms[job.arm])
            cells = [name.removeprefix("log") for name in names]
            metrics = {f"log{cell}": ratio + job.seed / 1e4 for cell in cells}
            metrics |= {f"control{cell}": 1.01 for cell in cells}
            options = {**protocol.options, **arms[job.arm].options}
            about = {"trial": SLUG, "version": CLAIM.trial_version}
            fields = {
                "config": {**about, "options": options, "seed": job.seed},
                "metrics": {**metrics, "cells": len(cells), "void": 0},
                "versions": {"python": "3.11", "torch": "2.13", "processor": processor},
                "code": {"git": "a" * 40, "dirty": False, "source": here().source},
                "started": "2026-12-01T10:00:00+00:00",
                **more,
            }
            whose = {"claim": SLUG, "arm": job.arm, "seed": job.seed, "stage": "evaluate"}
            record = Record(job.key, status="ok", device=device, **whose, **fields)
            store.append(SLUG, record)
    return store


def row_of_benchmark(**more):
    row = {
        "benchmark": "norms", "subject": "ours", "kind": "rmsnorm", "device": GPU, "ratio": 0.9,
        "control": 1.01, "void": False, "processor": THERE, "schema": 2, "torch": "2.13",
        "code": {"git": "a" * 40, "dirty": False, "source": "b" * 12}, "measured": "2026-12-01T10",
    }  # fmt: skip
    return {**row, **more}


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """The bundle of a machine with a GPU, as text."""
    folder = tmp_path_factory.mktemp("there")
    timed(folder, GPU, THERE, profile="gpu")
    (folder / "bench.jsonl").write_text(json.dumps(row_of_benchmark()) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "processor", lambda: THERE)
        patch.setattr(module, "load_all", lambda: [CLAIM])
        text = to_text(collect([], folder))
        assert text == to_text(collect([SLUG], folder))
    return text


@pytest.fixture
def bundle(sent, tmp_path):
    path = tmp_path / "bundle.jsonl"
    path.write_text(sent)
    return path


def files(folder):
    """Every file below a folder, locks left out, with its content."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}


def test_a_bundle_says_what_is_in_it_and_comes_back_as_it_was(bundle, tmp_path):
    head = json.loads(bundle.read_text().splitlines()[0])
    assert head["devices"] == [GPU] and head["versions"]["processor"] == [THERE]
    controls = head["controls"]
    assert controls["void"] == 0 and controls["farthest_from_1"] == pytest.approx(0.01)
    assert list(head["claims"]) == [SLUG] and list(head["claims"][SLUG]) == ["gpu"]
    local = tmp_path / "here"
    timed(local, CPU, HERE)
    before = files(local)
    _, kept = accept(bundle, local)
    assert [(one.machine.label, one.rows) for one in kept] == [(GPU, 1)]
    after = files(local)
    assert {name: after[name] for name in before} == before
    place = local / "elsewhere" / "nvidia-h200"
    stored, lines = Store(place).records, read_bundle(bundle).lines
    assert {line.row["key"] for line in lines if not line.is_benchmark} == set(stored)
    assert {name.rpartition("/")[2] for name in after if "elsewhere" in name} == {
        f"{SLUG}.jsonl", "bench.jsonl", "sources.json", "versions.json",
    }  # fmt: skip
    with pytest.raises(NormLabError, match=r"all of its lines are in .*elsewhere/ already"):
        accept(bundle, local)
    with pytest.raises(NormLabError, match=r"line 2: is a line of .* itself"):
        accept(bundle, place)


def test_a_verdict_here_does_not_move_and_its_card_says_what_others_got(bundle, tmp_path):
    local = tmp_path / "here"
    store = timed(local, CPU, HERE, ratio=2.0)  # far slower than the claim allows
    before = verdict(CLAIM, store)
    assert before.verdict == "refuted" and before.elsewhere == ()
    accept(bundle, local)
    after = verdict(CLAIM, store)
    assert replace(after, elsewhere=()) == before and after.others == ()
    (one,) = after.elsewhere
    assert (one.machine, one.profile, one.verdict, one.n) == (GPU, "gpu", "supported", 10)
    (local / "verdicts.json").write_text(to_json([after]))
    assert read_verdicts(local)[SLUG] == after
    ((said, words),) = again_in_words(after)
    assert said == "did not hold" and words.startswith("on NVIDIA H200: supported, ")
    assert "n = 10 (gpu profile, torch 2.13, 2026-12-01). It did not hold there." in words
    assert again_marks(after) == ["did not hold on NVIDIA H200"]
    card = build_card(CLAIM, after, store)
    page = claim_page(card, links(local, local / "claims" / "x.html"), "index.html")
    assert "Asked again on NVIDIA H200: supported" in page
    assert "(did not hold on NVIDIA H200)" in verdict_page([card])
    shown = " ".join(line.strip() for line in claim_text(CLAIM, after, store.done()))
    assert "on NVIDIA H200: supported" in shown and "It did not hold there." in shown


def test_what_is_not_decided_here_stays_so(bundle, tmp_path, capsys):
    local = tmp_path / "here"
    contribute(None, None, bundle, local)
    assert f"{SLUG}: no data here\n  on NVIDIA H200: supported" in capsys.readouterr().out
    found = verdict(CLAIM, Store(local))
    assert found.verdict == "no data" and found.n == 0 and again_marks(found) == []


def test_processors_of_other_makes_are_kept_apart(tmp_path, monkeypatch, bundle):
    local = tmp_path / "here"
    accept(bundle, local)
    timed(tmp_path / "there", CPU, THERE, ratio=0.1)
    monkeypatch.setattr(module, "processor", lambda: THERE)
    path = tmp_path / "cpu.jsonl"
    path.write_text(to_text(collect([SLUG], tmp_path / "there")))
    accept(path, local)
    assert sorted(path.name for path in (local / "elsewhere").iterdir()) == [
        "intel-xeon-avx512-1-thread", "nvidia-h200",
    ]  # fmt: skip
    assert [one.machine for one in verdict(CLAIM, Store(local)).elsewhere] == [
        "Intel Xeon, AVX512, 1 thread", GPU,
    ]  # fmt: skip
    timed(tmp_path / "again", CPU, THERE, ratio=0.2)
    path.write_text(to_text(collect([SLUG], tmp_path / "again")))
    with pytest.raises(NormLabError, match=r"has another record of trial .* on Intel Xeon"):
        accept(path, local)


def first_log(row):
    return next(name for name in row["metrics"] if name.startswith("log "))


def void_control(row):
    row["metrics"][first_log(row).replace("log", "control", 1)] = 1.08


def chosen_result(row):
    row["metrics"][first_log(row)] = None


def no_control(row):
    del row["metrics"][first_log(row).replace("log", "control", 1)]


def as_written(text, number, change):
    """The bundle with a row changed, and all digests those of what it holds now."""
    head, *lines = [json.loads(line) for line in text.splitlines()]
    change(lines[number - 2]["row"])
    rows = [bundles.Line(n, line["file"], line["row"]) for n, line in enumerate(lines, 2)]
    return to_text(bundles.Bundle(head["claims"], head["sources"], rows))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda row: row.update(key="0" * 16), "key 0{16} is not that of its configuration"),
        (lambda row: row["config"].update(seed=7), "is not that of its configuration"),
        (lambda row: row.update(seed=101 + row["seed"]), "has the key of seed 100"),
        (lambda row: row["code"].update(dirty=True), "made by code that was not committed"),
        (lambda row: row["code"].update(git=None), "names no commit"),
        (lambda row: row["code"].update(source="c" * 12), "that made it are not in line 1"),
        (lambda row: row["versions"].pop("torch"), "does not say its torch"),
        (lambda row: row.update(status="failed"), "a trial that is failed is no evidence"),
        (lambda row: row.update(schema=9), "no record of a schema up to 2"),
        (lambda row: row.update(claim="bn-fold-latency"), "a record of bn-fold-latency for"),
        (lambda row: row["data"].update(name="/home/anna/x"), "data.name holds the path /home"),
        (void_control, r"the control of .* is 1.08, beyond 3%, and its ratio is kept"),
        (chosen_result, r"the control of .* is 1.01, and its ratio is left out"),
        (no_control, "has a ratio and no control"),
    ],
)  # fmt: skip
def test_a_record_that_no_local_one_could_be_is_refused(sent, tmp_path, change, why):
    path, local = tmp_path / "bundle.jsonl", tmp_path / "here"
    path.write_text(as_written(sent, 2, change))
    with pytest.raises(NormLabError, match=rf"bundle.jsonl, line 2: .*{why}.*Nothing was kept\."):
        accept(path, local)
    assert not local.exists() or files(local) == {}


def edited(sent, number, before, after):
    lines = sent.splitlines()
    assert before in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(before, after, 1)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: edited(text, 3, "1.01", "1.02"), "line 3: was changed after it was written"),
        (lambda text: edited(text, 4, "1.01", "NaN"), "line 4: NaN is not finite"),
        (lambda text: edited(text, 1, '"schema": 1', '"schema": 2'), "install a newer"),
        (lambda text: edited(text, 1, '"2.13"', '"2.14"'), "line 1: is of other lines"),
        (lambda text: text[: len(text) // 2], r"line \d+: no JSON"),
        (lambda text: "".join(text.splitlines(True)[:-1]), "line 1: is of other lines"),
        (lambda text: text + "{}\n", "holds no record"),
        (lambda text: "", "line 1: no bundle"),
        (lambda text: "[]\n", "line 1: no JSON object"),
    ],
)  # fmt: skip
def test_a_file_that_was_changed_is_refused(sent, tmp_path, change, why):
    path, local = tmp_path / "bundle.jsonl", tmp_path / "here"
    path.write_text(change(sent))
    with pytest.raises(NormLabError, match=why):
        accept(path, local)
    assert not local.exists()


@pytest.mark.parametrize(
    ("head", "why"),
    [
        ({"claims": {SLUG: {"gpu": "00000000"}}}, "was run as version 00000000, and here it is"),
        ({"claims": {SLUG: {"smoke": "x"}}}, "has no evidence under 'smoke'"),
        ({"claims": {"nobody-says-so": {}}}, "there is no claim 'nobody-says-so' here"),
        ({"claims": {}}, "line 2: key .* is no trial of  as they are here"),
        ({"sources": {"c" * 12: {"norms/rms.py": "1"}}}, "the hashes of source c{12} are those"),
    ],
)
def test_claims_versions_and_sources_are_those_that_are_here(sent, tmp_path, head, why):
    lines = [json.loads(line) for line in sent.splitlines()]
    rows = [bundles.Line(n, line["file"], line["row"]) for n, line in enumerate(lines[1:], 2)]
    given = {name: lines[0][name] for name in ("claims", "sources")} | head
    path = tmp_path / "bundle.jsonl"
    path.write_text(to_text(bundles.Bundle(given["claims"], given["sources"], rows)))
    with pytest.raises(NormLabError, match=why):
        accept(path, tmp_path / "here")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({}, None),
        ({"control": 1.2}, "the control of its baseline is 1.2, beyond 3%"),
        ({"control": 1.2, "void": True}, None),
        ({"benchmark": "speed"}, "there is no benchmark 'speed' here"),
        ({"ratio": 0}, "its ratio is no number above 0"),
        ({"processor": None}, "does not say its processor"),
        ({"code": {"git": "a" * 40, "dirty": True}}, "not committed"),
        ({"schema": None}, "no row of schema 2"),
    ],
)
def test_rows_of_benchmarks_are_checked_like_records(tmp_path, more, why):
    path = tmp_path / "bundle.jsonl"
    line = bundles.Line(2, "bench", row_of_benchmark(**more))
    path.write_text(to_text(bundles.Bundle({}, {}, [line])))
    if why is None:
        accept(path, tmp_path / "here")
        assert (tmp_path / "here/elsewhere/nvidia-h200/bench.jsonl").is_file()
        return
    with pytest.raises(NormLabError, match=f"line 2: .*{why}"):
        accept(path, tmp_path / "here")


def test_a_line_that_is_there_twice_is_refused(tmp_path):
    line = bundles.Line(2, "bench", row_of_benchmark())
    path = tmp_path / "bundle.jsonl"
    path.write_text(to_text(bundles.Bundle({}, {}, [line, line])))
    with pytest.raises(NormLabError, match="line 3: is there twice"):
        accept(path, tmp_path / "here")


def test_nothing_that_tells_of_a_person_is_sent(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "processor", lambda: THERE)
    monkeypatch.setattr(module, "load_all", lambda: [CLAIM])
    monkeypatch.setattr(module, "names_here", lambda: frozenset({"anna", "workhorse"}))
    planted = {"message": "read from /home/anna/data/x.bin, and ~/y"}
    timed(tmp_path, GPU, THERE, profile="gpu", **planted)
    text = to_text(collect([], tmp_path))
    assert "anna" not in text and "home" not in text and json.dumps("read from …")[1:-1] in text
    for data in ({"name": "/mnt/disk/cifar"}, {"name": "cifar of anna"}, {"name": "workhorse"}):
        folder = tmp_path / data["name"].replace("/", "-")
        timed(folder, GPU, THERE, profile="gpu", data=data)
        with pytest.raises(NormLabError, match=r"is not sent: data.name holds the (path|name)"):
            collect([], folder)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("/home/anna", True), ("at (/tmp/x.py, line 3)", True), ("~/data", True),
        ("C:\\Users\\anna", True), ("tokens/s", False), ("1/2 or a / b", False),
        ("https://example.org/x", False), ("cifar10 (JPEG copy), 16x16", False),
    ],
)  # fmt: skip
def test_a_path_is_told_from_other_strokes(text, holds):
    assert bool(telling({"message": text})) == holds
    assert not telling({"config": {"optim": "adam"}}, {"adam"})
    assert telling({"machine": "Linux, adam"}, {"adam"})


def test_records_of_other_machines_stay_at_home(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "load_all", lambda: [CLAIM])
    timed(tmp_path, CPU, HERE)
    monkeypatch.setattr(module, "processor", lambda: THERE)
    with pytest.raises(NormLabError, match=r"holds no claim about time and no benchmark of this"):
        collect([], tmp_path)
    with pytest.raises(NormLabError, match=f"{SLUG} has no record of this machine"):
        collect([SLUG], tmp_path)


def test_a_processor_names_the_machine_of_a_cpu_and_a_gpu_itself():
    of = machine_of(Record("k", {}, device=CPU, versions={"processor": HERE}))
    assert (of.label, of.folder) == ("AMD EPYC, AVX2, 1 thread", "amd-epyc-avx2-1-thread")
    of = machine_of(Record("k", {}, device=f"gloo, {CPU}", versions={"processor": HERE}))
    assert of.label == "gloo, AMD EPYC, AVX2, 1 thread"
    assert machine_of(Record("k", {}, device=CPU)).label == "x86_64, 1 thread"
    assert machine_of(Record("k", {}, device="../..")).folder == "unnamed"


def test_a_bundle_is_read_whole_or_written(tmp_path):
    with pytest.raises(NormLabError, match="--read keeps a whole bundle"):
        contribute([SLUG], None, tmp_path / "x", None)
    with pytest.raises(NormLabError, match="the bundle is none"):
        contribute(None, tmp_path / "x.jsonl", None, tmp_path)
    with pytest.raises(NormLabError, match="cannot be read: name a file"):
        contribute(None, None, tmp_path / "x", tmp_path)


def test_benchmarks_are_listed_by_machine_the_newest_row_of_each_cell(tmp_path, capsys):
    local = tmp_path / "here"
    local.mkdir()
    own = {"device": "cpu", "machine": "Linux x86_64, 2 cores", "threads": 1, "processor": HERE}
    rows = [row_of_benchmark(**own, ratio=ratio) for ratio in (0.5, 0.7)]
    rows.append(row_of_benchmark(**own, kind="dyt", void=True))
    (local / "bench.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    bundle = tmp_path / "bundle.jsonl"
    line = bundles.Line(2, "bench", row_of_benchmark())
    bundle.write_text(to_text(bundles.Bundle({}, {}, [line])))
    accept(bundle, local)
    kept = rows_by_machine(local)
    assert list(kept) == ["AMD EPYC, AVX2, 1 thread", "NVIDIA H200 (elsewhere)"]
    assert [row["ratio"] for row in kept["AMD EPYC, AVX2, 1 thread"]] == [0.7, 0.9]
    print_kept(local, None)
    first, second = capsys.readouterr().out.splitlines()[1:]
    assert first.split()[-8:] == ["norms", "2", "1", "0.7", "to", "0.7", "2.13", "2026-12-01"]
    assert second.startswith("NVIDIA H200 (elsewhere)")
    print_kept(local, Benchmark.norms)
    assert capsys.readouterr().out.count("rmsnorm") == 2
