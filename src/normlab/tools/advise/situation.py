"""The seven questions, and a situation: their answers. Torch-free."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from normlab.errors import NormLabError, choices

INPUTS = {  # what is normalized, and in which layout
    "images": "maps of convolutions, (N, C, H, W)",
    "vectors": "features of an MLP, (N, C)",
    "sequences": "tokens of an encoder, (N, T, C)",
    "causal": "tokens of a model that may not see later ones, (N, T, C)",
    "recurrent": "the states of a recurrent network, (N, C) at each step",
}
YES_NO = {"yes": True, "no": False}
MANY = 1_000_000  # more than that is a slip of the keyboard


@dataclass(frozen=True)
class Situation:
    """Where a norm is to work."""

    input: str  # a name of INPUTS
    batch: int  # smallest batch on one device
    varying: bool  # lengths or sizes of the samples
    devices: int
    fold: bool  # the norm must be a part of the weights before it at inference
    depth: int  # layers, or blocks of a transformer
    warmup: bool  # of the learning rate

    @property
    def transformer(self) -> bool:
        return self.input in ("sequences", "causal")


@dataclass(frozen=True)
class Question:
    """An option of the command, in words; `choices` in words for numbers."""

    name: str
    asks: str
    choices: tuple[str, ...]
    number: bool = False

    @property
    def choices_in_words(self) -> str:
        return " | ".join(self.choices)


QUESTIONS = (
    Question("input", "What is normalized, in which layout?", tuple(INPUTS)),
    Question("batch", "The smallest batch on one device?", ("1", "2", "..."), number=True),
    Question("length", "Have all samples one length (or size)?", ("fixed", "variable")),
    Question("devices", "On how many devices does training run?", ("1", "2", "..."), number=True),
    Question("fold", "Must the norm fold into the weights at inference?", tuple(YES_NO)),
    Question(
        "depth",
        "How deep is the network, in layers (blocks of a transformer)?",
        ("1", "2", "..."),
        number=True,
    ),
    Question("warmup", "Does the learning rate warm up?", tuple(YES_NO)),
)


def complete(given: Mapping[str, Any]) -> Situation:
    """The situation that `given` describes: an answer or None, by question.

    On a terminal what is left out is asked.

    Raises:
        NormLabError: an answer that is no choice; off a terminal, answers that are missing.
    """
    answers: dict[str, Any] = {question.name: given.get(question.name) for question in QUESTIONS}
    missing = [question for question in QUESTIONS if answers[question.name] is None]
    # A script would wait for an answer that nobody gives.
    if missing and not sys.stdin.isatty():
        options = ", ".join(
            f"--{question.name} ({question.choices_in_words})" for question in missing
        )
        raise NormLabError(f"this is not a terminal, so nothing can be asked: pass {options}.")
    for question in missing:
        answers[question.name] = _ask(question)
    for question in QUESTIONS:
        check(question, answers[question.name])
    return Situation(
        input=str(answers["input"]),
        batch=int(answers["batch"]),
        varying=answers["length"] == "variable",
        devices=int(answers["devices"]),
        fold=YES_NO[answers["fold"]],
        depth=int(answers["depth"]),
        warmup=YES_NO[answers["warmup"]],
    )


def check(question: Question, answer: Any) -> None:
    """Raises NormLabError unless `answer` is one of the question's choices."""
    if question.number:
        # Options come as numbers, answers of the terminal as texts.
        if not str(answer).isdecimal() or not 1 <= int(answer) <= MANY:
            raise NormLabError(
                f"--{question.name} {answer}: give a whole number from 1 to {MANY:,}."
            )
    elif answer not in question.choices:
        raise choices(f"--{question.name}", answer, question.choices)


def _ask(question: Question) -> str:
    """An answer that is a choice; stdout stays free for the answer to all of them."""
    # Imported here: --json of a complete situation needs nothing but the base install.
    import typer

    if question.name == "input":
        for name, meaning in INPUTS.items():
            typer.echo(f"  {name}: {meaning}", err=True)
    while True:
        answer = str(
            typer.prompt(f"{question.asks} ({question.choices_in_words})", err=True)
        ).strip()
        try:
            check(question, answer)
        except NormLabError as error:
            typer.echo(error, err=True)
        else:
            return answer
