"""A norm under test: a kind, or a class that lies elsewhere, with its options."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf

from normlab.errors import NormLabError
from normlab.norms import NormSpec, spec_of
from normlab.norms.registry import declared_kinds
from normlab.records.code_hash import file_hash
from normlab.records.places import PACKAGE
from normlab.records.record import target_hash

# What keys of recorded measurements call the code of a kind. Whether it has been edited since,
# their provenance tells.
_CODE_IN_KEYS = {
    "batchnorm": "6c53dcba",
    "batchrenorm": "6c53dcba",
    "dyt": "88768957",
    "frn": "82690352",
    "groupnorm": "3d92dbad",
    "layernorm": "ee3af3c0",
    "rmsnorm": "6b886340",
}


@dataclass(frozen=True)
class Subject:
    """`kind` with `options`, as `make_norm` takes them; `code` is what keys call its code.

    A class that lies elsewhere has the kind `custom`, and the options `target` and `options`.
    """

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""

    @property
    def target(self) -> str:
        """What `normlab score` is given: the kind, or the dotted path to the class."""
        return str(self.options["target"]) if self.kind == "custom" else self.kind

    @property
    def own_options(self) -> Mapping[str, Any]:
        """Those of the kind or of the class, by name."""
        return self.options.get("options") or {} if self.kind == "custom" else self.options

    @property
    def short(self) -> str:
        """The kind, or the class without its path, for where there is little room."""
        return self.target.rpartition(".")[2]

    @property
    def option_texts(self) -> list[str]:
        """NAME=VALUE of each of its own options, as `normlab score --option` reads it back."""
        texts = []
        for name, value in self.own_options.items():
            # JSON is YAML, with the same words for true, false and nothing.
            texts.append(f"{name}={value if isinstance(value, str) else json.dumps(value)}")
        return texts

    @property
    def name(self) -> str:
        """`dyt`, `my_package.MyNorm`, and its options behind it: `groupnorm num_groups=4`."""
        options = (f"{name}={value}" for name, value in self.own_options.items())
        return " ".join([self.target, *options])

    @property
    def slug(self) -> str:
        """The name of its files."""
        # A number's sign is no dash between words: -1 and 1 are two norms. 1e-07 keeps its own.
        signed = re.sub(r"(?<![\w.])-(?=[\d.])", "minus", self.name)
        # Options hold brackets, commas and spaces, which a file's name should not.
        return re.sub(r"[^\w.]+", "-", signed)

    @property
    def overrides(self) -> tuple[str, ...]:
        """For a training, as `train.py` takes them."""
        options = (f"norm.{name}={_for_hydra(value)}" for name, value in self.options.items())
        return (f"norm={self.kind}", *options)

    @property
    def spec(self) -> NormSpec:
        """Declared, or measured by perturbation."""
        return spec_of(self.kind, **self.options)

    @property
    def measured(self) -> dict[str, Any]:
        """What `make_norm` needs, and the code: a norm from elsewhere is another after an edit."""
        return {"kind": self.kind, **self.options, "code": self.code}


def subject_of(name: str, options: Sequence[str] = ()) -> Subject:
    """The norm that `name`, a kind or a dotted path to a class, and `option=value` texts describe.

    Raises:
        NormLabError: no such kind, class or option.
    """
    values = _parse_options(options)
    if name == "syncbatchnorm":
        raise NormLabError(
            "syncbatchnorm is batchnorm over several processes, of which a score has none: "
            "score that."
        )
    # A kind has no dot in its name, and a path to a class at least one.
    subject = _custom(name, values) if "." in name else _declared(name, values)
    _ = subject.spec  # an unknown kind or an unfit class is refused here, not by a hundred trials
    if subject.options:
        _check_options(subject)
    return subject


def _parse_options(options: Sequence[str]) -> dict[str, Any]:
    """Numbers, lists and texts as YAML reads them: `eps=1e-3`, `axes=[1,2]`."""
    values: dict[str, Any] = {}
    for text in options:
        name, equals, value = text.partition("=")
        if not equals:
            raise NormLabError(f"--option {text}: write NAME=VALUE.")
        try:
            # By the reader of configurations: an option means here what it means to train.py.
            parsed: Any = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={value}"]))
            values[name] = parsed["value"]
        except Exception as error:  # of the YAML reader, which has several
            raise NormLabError(
                f"--option {text}: {value!r} is not a value ({error.__class__.__name__})."
            ) from None
    return values


def _custom(name: str, values: Mapping[str, Any]) -> Subject:
    # What its module imports may import torchvision.
    import normlab.models.torchvision_operators  # noqa: F401

    options: dict[str, Any] = {"target": name}
    # Keys of recorded trials hold what stands here: without options, no `options`.
    if values:
        options["options"] = dict(values)
    return Subject("custom", options, target_hash(options)[name])


def _declared(name: str, values: Mapping[str, Any]) -> Subject:
    """Of a kind that has a file in norms/, or among the user's own norms."""
    declared = declared_kinds().get(name)
    if declared is None:  # its `spec` says which there are
        return Subject(name, values)
    subject = Subject(name, values, _code(name, declared.path))
    known = list(subject.spec.options)
    unknown = [option for option in values if option not in known]
    if unknown:
        raise NormLabError(f"{name} has no option {unknown[0]!r}: it has {known}.")
    return subject


def _check_options(subject: Subject) -> None:
    """Raises NormLabError where no training can be configured with them."""
    from normlab.config.compose import compose

    try:
        compose(subject.overrides)
    except HydraException as error:
        raise NormLabError(
            f"{subject.name} cannot be configured: {error.__cause__ or error}".splitlines()[0]
        ) from None


def _code(kind: str, path: Path) -> str:
    """What keys call the code of a kind: of one of the package's only its name, if it has one."""
    return _CODE_IN_KEYS.get(kind, "") if path.is_relative_to(PACKAGE) else file_hash(path)


def _for_hydra(value: Any) -> str:
    """As Hydra's grammar reads it."""
    if isinstance(value, Mapping):
        items = (f"{key}:{_for_hydra(item)}" for key, item in value.items())
        return "{" + ",".join(items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_for_hydra, value)) + "]"
    # A text with other characters is quoted; JSON's quotes are Hydra's.
    if isinstance(value, str) and re.fullmatch(r"[\w.]+", value):
        return value
    return json.dumps(value)
