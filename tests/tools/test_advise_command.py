"""`normlab advise`: what it asks, what it refuses and what it prints."""

import inspect
import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from normlab.cli.advise import AdviceInput, Length, YesNo
from normlab.cli.advise import advise as command
from normlab.errors import NormLabError
from normlab.records.verdict import PartVerdict, Verdict, read_verdicts, to_json
from normlab.tools.advise.situation import QUESTIONS, Situation, complete

MANUAL = Path(__file__).resolve().parents[2] / "docs" / "tools.md"
ANSWERS = {
    "input": "images",
    "batch": 2,
    "length": "fixed",
    "devices": 1,
    "fold": "no",
    "depth": 20,
    "warmup": "no",
}


def test_off_a_terminal_missing_answers_are_named_with_their_choices():
    given = {**ANSWERS, "fold": None, "batch": None}
    with pytest.raises(
        NormLabError, match=r"--batch \(1 \| 2 \| \.\.\.\), --fold \(yes \| no\)\.$"
    ):
        complete(given)
    with pytest.raises(NormLabError, match="--batch 0"):
        complete({**ANSWERS, "batch": 0})
    with pytest.raises(NormLabError, match="choose one of images, vectors"):
        complete({**ANSWERS, "input": "sound"})
    assert complete(ANSWERS) == Situation("images", 2, False, 1, False, 20, False)


def test_the_command_and_the_manual_agree_with_the_questions():
    """The command repeats choices, since its help imports nothing of `tools`."""
    choices = {question.name: question.choices for question in QUESTIONS}
    assert tuple(AdviceInput) == choices["input"]
    assert tuple(Length) == choices["length"]
    assert tuple(YesNo) == choices["fold"] == choices["warmup"]
    options = inspect.signature(command).parameters
    assert list(options)[: len(QUESTIONS)] == [question.name for question in QUESTIONS]
    assert len(QUESTIONS) == 7 and "# asks seven questions" in MANUAL.read_text()


def test_damaged_verdicts_are_one_sentence(tmp_path):
    (tmp_path / "verdicts.json").write_text("{")
    with pytest.raises(NormLabError, match="normlab verdict"):
        read_verdicts(tmp_path)


def test_json_and_no_torch(normlab, tmp_path):
    part = PartVerdict("interaction", "", "", "", "supported", 6, 2, 10, "points", 5)
    verdict = Verdict("gn-ln-fix-small-batch", "", (), "supported", (part,), profile="cpu", n=5)
    (tmp_path / "verdicts.json").write_text(to_json([verdict]))
    options = [f"--{name}={value}" for name, value in ANSWERS.items()]
    done = normlab("advise", *options, "--json", "--results", str(tmp_path))
    answer = json.loads(done.stdout)
    assert answer["situation"]["batch"] == 2 and answer["norms"][0]["name"] == "groupnorm"
    (reason,) = answer["norms"][0]["for"]
    assert (reason["verdict"], reason["effect"], reason["n"]) == ("supported", 6, 5)
    assert "batchrenorm" in answer["unranked"]
    heavy = "normlab.cli.advise, normlab.tools.advise.answer, normlab.tools.advise.situation"
    code = f"import {heavy}, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_asks_on_a_terminal():
    """One process on a terminal of its own; answers that are no choice are asked again."""
    parent, child = pty.openpty()
    env = {**os.environ, "TERM": "dumb", "COLUMNS": "200"}
    command = [sys.executable, "-m", "normlab.cli", "advise", "--json"]
    process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=env)
    os.close(child)
    try:
        os.write(parent, b"sound\nimages\n2\nfixed\n1\nno\n20\nno\n")
        text, limit = b"", time.monotonic() + 300
        while time.monotonic() < limit:
            try:
                chunk = os.read(parent, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            text += chunk
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(parent)
    shown = text.decode()
    assert "sound" in shown and "What is normalized" in shown and '"unranked"' in shown
