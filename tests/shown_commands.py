"""The commands that README.md, CONTRIBUTING.md and docs/ show, and what runs in their place."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

# Appended to each training; and smaller amounts, and data that every installation has, in the place
# of what is shown.
TRAIN = ["trainer.max_steps=2"]
SMALLER = {
    "seed=0,1": ["seed=0"],
    "data.batch_size=2,16,64": ["data.batch_size=2"],
    "model.depth=24": ["model.depth=2"],
    "trainer.checkpoint_every=100": ["trainer.checkpoint_every=1"],
    "data=cifar10": ["data=digits"],
    "data=tiny_shakespeare": ["data=pydoc", "data.eval_subset=2000"],
    "data=ag_news": ["data=pydoc_lines", "data.eval_subset=50"],
    "data.subset=5000": ["data.subset=64"],
    **{
        word: [word, "data.eval_subset=2000"]  # characters, of 23,000
        for word in ("hydra.run.dir=runs/text", "model.placement=deepnorm", "model.per_step=true")
    },
}

# What a command gets in addition, so that it ends within seconds and writes to the working folder.
# The longest beginning that fits counts.
SMALL = {
    "normlab list": ["--results", "none"],
    "normlab show": ["--results", "none"],
    "normlab verdict": ["--results", "none", "rmsnorm-equal-loss"],
    "normlab run": ["--profile", "smoke", "--workers", "1"],
    "normlab run bn-batch-below-16": ["--profile", "smoke", "--dry-run"],
    "normlab recheck": ["--results", "none"],
    "normlab dashboard": ["--records", "runs"],
    "normlab convert --to groupnorm": ["torchvision:resnet18"],
}

# What needs nothing that another command made, and makes nothing that another needs: shown on
# several pages, it runs for the first of them alone.
ALONE = ("normlab list", "normlab show", "normlab verdict", "normlab run", "normlab recheck")

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
    "normlab run gn-ln-fix-small-batch --norm": "tests/claims/test_guests.py runs other norms",
    "normlab score": "tests/score runs the battery",
    "normlab run rmsnorm-equal-loss --profile smoke --logger": "tests/claims/test_logged_trials.py",
    "normlab run bn-noniid-batches --engine": "tests/claims/test_runner.py runs both engines",
    "normlab run --all": "tests/claims/test_smoke.py walks through every claim",
    "normlab run rmsnorm-7-64-faster": "tests/measure/timing runs its trials",
    "normlab replicate": "tests/claims/test_replicate.py runs decided claims again",
    "normlab contribute": "tests/claims/test_contribute.py sends and reads records",
    "normlab run gn-overhead --profile gpu": "needs a GPU",
    "normlab report": "tests/report/test_build.py builds and checks this checkout",
    "normlab zoo": "tests/measure/test_zoo_run.py looks at a network of each library",
    "normlab bench": "tests/cli and tests/measure/timing run the benchmarks",
    "python scripts/syncbn_gpus.py": "needs GPUs; tests/measure/timing asks it without any",
    "torchrun": "tests/training/test_train_devices.py starts it",
    "tensorboard": "serves until it is stopped",
    "wandb sync": "needs a key; tests/training has a server that takes its place",
    "make": "sets up an environment; its own commands are run here",
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
        if self.trains and "--cfg" not in words:
            return [one for word in words for one in SMALLER.get(word, [word])] + TRAIN
        fitting = [beginning for beginning in SMALL if self.begins(beginning)]
        return words + (SMALL[max(fitting, key=len)] if fitting else [])


def each_once(shown: list[Command]) -> list[Command]:
    """Those that a test runs, in their order."""
    found: list[Command] = []
    for command in shown:
        alone = any(command.begins(beginning) for beginning in ALONE)
        if command.left_out or (alone and command.small in [one.small for one in found]):
            continue
        found.append(command)
    return found


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
    joined = recipe[1].replace("\\\n", " ")  # a line that goes on in the next
    lines = joined.replace("$(BIN)/", "").splitlines()
    return [Command("Makefile", tuple(shlex.split(line))) for line in lines]
