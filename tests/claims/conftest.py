"""A folder of toy claims whose trials take milliseconds and misbehave on request."""

import pytest

TOY = '''"""A toy claim."""

import os
import signal
import time
from pathlib import Path

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.looks import Looks
from normlab.claims.quantity import difference
from normlab.claims.rules import AtLeast


def trial(options, seed):
    time.sleep(options["seconds"])
    flag = Path(options["folder"]) / f"{options['do']}-{seed}"
    first = not flag.exists()
    flag.touch()
    if options["do"] == "crash":
        raise RuntimeError("as asked")
    if options["do"] == "hang" or (options["do"] == "deaf"):
        if options["do"] == "deaf":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        time.sleep(1000)
    if options["do"] == "die" or (options["do"] == "die once" and first):
        os.kill(os.getpid(), signal.SIGKILL)
    return {"score": options["level"] + 0.01 * seed}


def arm(name, level, do="work"):
    return Arm(name, options={"level": level, "do": do})


CLAIM = Claim(
    slug="toy",
    statement="A is greater than B.",
    documents=("A document",),
    source="nobody",
    prediction="supported",
    arms=(ARMS,),
    protocols={
        "quick": Protocol(
            looks=Looks((SEEDS,)),
            options={"seconds": 0.02, "folder": FOLDER},
            timeout_s=TIMEOUT,
        )
    },
    trial=trial,
    clauses=(
        Part("greater", "A > B", difference("A", "B", "score", unit="points"), AtLeast(1.0)),
    ),
    answers=Answers(supported="A is {greater.effect:.0f} greater.", refuted="A is no greater."),
    first_seed=0,
)
'''


@pytest.fixture
def toy(tmp_path):
    """Writes experiments/toy.py with these arms (as source), seeds and time limit; its folder."""

    def write(arms='arm("A", 3.0), arm("B", 1.0)', seeds=5, timeout=60.0):
        folder = tmp_path / "experiments"
        folder.mkdir(exist_ok=True)
        flags = tmp_path / "flags"
        flags.mkdir(exist_ok=True)
        source = (
            TOY.replace("ARMS", arms)
            .replace("SEEDS", str(seeds))
            .replace("FOLDER", repr(str(flags)))
        )
        (folder / "toy.py").write_text(source.replace("TIMEOUT", str(timeout)))
        return folder

    return write
