"""`normlab sample`: text from a checkpoint that train.py wrote."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from normlab.errors import NormLabError

if TYPE_CHECKING:
    from normlab.data.text import TextData

UNKNOWN = "\N{REPLACEMENT CHARACTER}"  # stands for every character that is not in the vocabulary


def sample(
    checkpoint: Path,
    prompt: str,
    *,
    length: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
) -> str:
    """`prompt` and `length` characters that the model in `checkpoint` goes on with.

    Raises:
        NormLabError: no readable checkpoint or no configuration beside it, a model of anything
            but text, a prompt of other characters, and what `generate` refuses.
    """
    # Imported here, so that the tools need torch alone until they are used.
    from normlab.data.text import TextData
    from normlab.models.generate import generate
    from normlab.training.trained_model import load_trained

    model, data = load_trained(checkpoint)
    if not isinstance(data, TextData):
        raise NormLabError(
            f"{checkpoint}: a model of {data.name}, and only one of text goes on with a prompt: "
            "pass a checkpoint of train.py model=transformer or model=rnn."
        )
    ids = torch.tensor([encode(prompt, data)])
    generator = torch.Generator().manual_seed(seed)
    new = generate(model, ids, length, temperature, top_k, generator=generator)[0].tolist()
    # The id behind the last character's is that of the unknown one: see `encode`.
    characters = data.vocabulary + UNKNOWN
    return prompt + "".join(characters[index] for index in new)


def encode(text: str, data: "TextData") -> list[int]:
    """The id of each character.

    Raises:
        NormLabError: no text, or a character that the model has no id for.
    """
    if not text:
        raise NormLabError("an empty prompt: pass --prompt with at least one character.")
    ids = {character: index for index, character in enumerate(data.vocabulary)}
    # Only a data set with characters outside of its vocabulary has an output for them.
    has_unknown = data.num_outputs > len(ids)
    missing = [character for character in text if character not in ids]
    if missing and not has_unknown:
        raise NormLabError(
            f"--prompt has {missing[0]!r}, which {data.name} has not: "
            f"use characters of {data.vocabulary!r}."
        )
    return [ids.get(character, len(ids)) for character in text]
