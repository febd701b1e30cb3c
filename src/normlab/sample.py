"""`normlab sample`: text from a checkpoint that train.py wrote."""

from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from normlab.checkpoint import read_checkpoint
from normlab.data import load_data
from normlab.errors import NormLabError
from normlab.models import build_model
from normlab.models.generate import generate
from normlab.records import Record

UNKNOWN = "\N{REPLACEMENT CHARACTER}"  # stands for every character that is not in the vocabulary


def sample(checkpoint: Path, prompt: str, length: int, temperature: float, top_k: int | None, seed: int) -> str:
    """`prompt` and `length` characters that the model in `checkpoint` goes on with.

    Raises:
        NormLabError: no readable checkpoint or no configuration beside it, a model of anything but text, a prompt of
            other characters, and what `generate` refuses.
    """
    state = read_checkpoint(checkpoint, given_as="")["state_dict"]
    cfg = configuration(checkpoint)
    data: Any = load_data(cfg.data, cfg.seed)
    if data.modality != "text":
        raise NormLabError(
            f"{checkpoint}: a model of {cfg.data.name}, and only one of text goes on with a prompt: "
            "pass a checkpoint of train.py model=transformer or model=rnn."
        )
    model = build_model(cfg, data.modality, data.input_shape, data.num_outputs)
    try:
        model.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})
    except RuntimeError:
        raise NormLabError(
            f"{checkpoint}: its tensors are not those of the configuration beside it: pass last.ckpt in the run "
            "directory that it was written to, and the data that it was trained on."
        ) from None
    ids = torch.tensor([encode(prompt, data)])
    generator = torch.Generator().manual_seed(seed)
    new = generate(model, ids, length, temperature, top_k, generator)[0].tolist()
    characters = data.vocabulary + UNKNOWN
    return prompt + "".join(characters[index] for index in new)


def configuration(checkpoint: Path) -> Any:
    """What `checkpoint` was trained with: from record.json, or before the run's end from Hydra's copy beside it."""
    record = Record.read(checkpoint.parent / "record.json")
    if record is not None:
        return OmegaConf.create(record.config)
    hydra = checkpoint.parent / ".hydra" / "config.yaml"
    if hydra.is_file():
        return OmegaConf.load(hydra)
    raise NormLabError(
        f"{checkpoint}: neither record.json nor .hydra/config.yaml lies beside it: pass it in its run directory."
    )


def encode(text: str, data: Any) -> list[int]:
    """The id of each character; raises NormLabError for one that the model has none for, and for no text."""
    if not text:
        raise NormLabError("an empty prompt: pass --prompt with at least one character.")
    ids = {character: index for index, character in enumerate(data.vocabulary)}
    has_unknown = data.num_outputs > len(ids)
    missing = [character for character in text if character not in ids]
    if missing and not has_unknown:
        raise NormLabError(
            f"--prompt has {missing[0]!r}, which {data.name} has not: use characters of {data.vocabulary!r}."
        )
    return [ids.get(character, len(ids)) for character in text]
