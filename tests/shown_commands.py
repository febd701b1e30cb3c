"""The commands that README.md, CONTRIBUTING.md and docs/ show, and what runs in their place."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

# Appended to each training: two steps, on data that every installation has.
TRAIN = ["trainer.max_steps=2", "trainer.max_epochs=null", "data.eval_subset=20"]
EMBEDDED = {"cifar10": "digits", "tiny_shakespeare": "pydoc", "ag_news": "pydoc_lines"}

# What a command gets in addition, so that it ends within seconds and writes to the working folder.
# The longest beginning that fits counts.
SMALL = {
    "normlab list": ["--results", "none"],
    "normlab show": ["--results", "none"],
    "normlab verdict": ["--results", "none", "rmsnorm-equal-loss"],
    "normlab run": ["--profile", "smoke"],
    "normlab recheck": ["--results", "none"],
    "normlab score": ["--profile", "smoke", "--minutes", "0"],
    "normlab convert --to groupnorm": ["torchvision:resnet18"],
}

# What no test here runs, by its beginning, and why. All but set-up are still parsed.
LEFT_OUT = {
    "python3 -m venv": "sets up an environment",
    ". .venv/bin/activate": "sets up an environment",
    "pip install": "sets up an environment",
    "conda env": "sets up an environment",
    "export": "belongs to the shell",
    "cd": "belongs to the shell",
    "ssh": "needs a cluster",
    "ray start": "needs a cluster",
    "normlab run bn-noniid-batches --engine": "tests/claims/test_runner.py runs both engines",
    "normlab run --all": "tests/claims/test_smoke.py walks through every claim",
    "normlab run rmsnorm-7-64-faster": "tests/measure/timing runs its trials",
    "normlab report": "tests/report/test_build.py builds and checks this checkout",
    "normlab bench": "tests/cli and tests/measure/timing run the benchmarks",
    "python scripts/syncbn_gpus.py": "needs GPUs; tests/measure/timing asks it without any",
    "torchrun": "tests/training/test_train_devices.py starts it",
    "tensorboard": "serves until it is stopped",
    "wandb sync": "needs a key; tests/training has a server that takes its place",
    "make": "sets up an environment; the commands of `make demo` are run below",
}
# The same, for a command without more words, or for a training with one of these.
LEFT_OUT_EXACTLY = {"normlab advise": "asks on a terminal; tests/tools/test_advise.py answers"}
LEFT_OUT_WITH = {
    "trainer=gpu": "needs a GPU",
    "trainer.devices=2": "tests/training/test_train_devices.py starts several processes",
    "hydra/launcher=joblib": "tests/train/test_train.py starts it",
}


@dataclass(frozen=True)
class Command:
    """One command of a page, as words."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"

    def begins(self, beginning: str) -> bool:
        head = tuple(shlex.split(beginning))
        return self.words[: len(head)] == head

    @property
    def trains(self) -> bool:
        return self.words[:2] == ("python", "train.py")

    @property
    def left_out(self) -> str | None:
        """Why no test here runs it, None if one does."""
        for beginning, reason in LEFT_OUT.items():
            if self.begins(beginning):
                return reason
        for word in self.words:
            if word in LEFT_OUT_WITH:
                return LEFT_OUT_WITH[word]
        return LEFT_OUT_EXACTLY.get(shlex.join(self.words))

    @property
    def small(self) -> list[str]:
        """The words of what runs in its place, within seconds."""
        words = list(self.words)
        if self.trains:
            return [_embedded(word) for word in words] + TRAIN
        fitting = [beginning for beginning in SMALL if self.begins(beginning)]
        return words + (SMALL[max(fitting, key=len)] if fitting else [])


def _embedded(word: str) -> str:
    """An override with data that are always here, and few of them."""
    if word.startswith("data.subset="):
        return "data.subset=64"
    group, _, name = word.partition("=")
    return f"data={EMBEDDED.get(name, name)}" if group == "data" else word


def fenced(page: Path, language: str) -> list[str]:
    """The blocks of a language, without their fences."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.S | re.M)


def commands(page: Path) -> list[Command]:
    """Every command of the page's bash blocks, in order; comments are left out."""
    lines = [line for block in fenced(page, "bash") for line in block.splitlines()]
    shown = [one for line in lines for one in re.split(r"\s&&\s", line)]
    words = [tuple(shlex.split(one, comments=True)) for one in shown]
    return [Command(page.name, one) for one in words if one]


def demo() -> list[Command]:
    """The commands of `make demo`."""
    recipe = re.search(r"^demo:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
    assert recipe, "Makefile has no target demo"
    lines = recipe[1].replace("$(BIN)/", "").splitlines()
    return [Command("Makefile", tuple(shlex.split(line))) for line in lines]
