"""One sentence, with the valid choices, for what Hydra and OmegaConf refuse."""

import re
from collections.abc import Iterator

from hydra.errors import MissingConfigException
from omegaconf.errors import OmegaConfBaseException, ValidationError


def sentence_of(error: BaseException) -> str:
    """What is wrong, and what there is to choose from.

    Hydra wraps what OmegaConf raises, and itself: the error that knows the choices may be any of
    the causes of the one that arrives here.
    """
    for cause in _causes(error):
        sentence = (
            _unknown_choice(cause)
            or _wrong_value(cause)
            or _unknown_key(cause)
            or _several_values(cause)
        )
        if sentence:
            return sentence
    return f"{' '.join(str(error).split()).rstrip('.')}."


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error itself, what it was raised from, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _unknown_choice(error: BaseException) -> str | None:
    """Of `norm=nothing`: no file of that name in the group's folder."""
    if not (isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options):
        return None
    group, _, name = error.missing_cfg_file.rpartition("/")
    # `_batchnorm` and the like are schemas, which defaults lists name, and no choices.
    valid = [option for option in error.options if not option.startswith("_")]
    return f"unknown {group} {name!r}: choose one of {', '.join(valid)}."


def _wrong_value(error: BaseException) -> str | None:
    """Of `optim.lr=fast`: a value of another type than the schema's."""
    if not isinstance(error, ValidationError):
        return None
    first_line = str(error.msg or error).splitlines()[0]
    return f"{error.full_key}: {first_line.rstrip('.')}."


def _unknown_key(error: BaseException) -> str | None:
    """Of `optim.foo=1`: no such key in the schema."""
    if not isinstance(error, OmegaConfBaseException) or error.parent_node is None:
        return None
    # A kind is chosen by `norm=`, and Hydra's settings are no part of the configuration.
    keys = [str(key) for key in error.parent_node if key not in ("kind", "hydra")]
    where = str(error.full_key).rpartition(".")[0] or "the configuration"
    return f"unknown key {error.full_key!r}: {where} has {', '.join(keys)}."


def _several_values(error: BaseException) -> str | None:
    """Of `norm=batchnorm,groupnorm` for a single job: Hydra's words, in an error without fields."""
    found = re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.+)'", str(error))
    return f"{found[1]} has several values: add -m to sweep over them." if found else None
