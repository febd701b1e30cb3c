"""A norm under test: a kind, or a class that lies elsewhere, with its options."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf

from normlab.config.cache import trial_config
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
    """`kind` with `options`, as `make_norm` takes them; `code` is what keys call its code."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""

    @property
    def name(self) -> str:
        """`dyt`, `my_package.MyNorm`, and its options behind it: `groupnorm num_groups=4`."""
        given: Mapping[str, Any] = self.options
        shown = self.kind
        if self.kind == "custom":
            shown, given = self.options["target"], self.options.get("options") or {}
        return " ".join([shown, *(f"{name}={value}" for name, value in given.items())])

    @property
    def slug(self) -> str:
        """The name of its files."""
        return re.sub(r"[^\w.]+", "-", self.name)

    @property
    def overrides(self) -> tuple[str, ...]:
        """For a training, as `train.py` takes them."""
        return (
            f"norm={self.kind}",
            *(f"norm.{name}={_written(value)}" for name, value in self.options.items()),
        )

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
    given = {}
    for text in options:
        key, equals, value = text.partition("=")
        if not equals:
            raise NormLabError(f"--option {text}: write NAME=VALUE.")
        try:
            given[key] = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={value}"]))["value"]  # type: ignore
        except Exception as error:  # of the YAML reader, which has several
            raise NormLabError(
                f"--option {text}: {value!r} is not a value ({error.__class__.__name__})."
            ) from None
    if name == "syncbatchnorm":
        raise NormLabError(
            "syncbatchnorm is batchnorm over several processes, of which a score has none: score "
            "that."
        )
    if "." in name:
        custom: dict[str, Any] = {"target": name, **({"options": given} if given else {})}
        subject = Subject("custom", custom, target_hash(custom)[name])
    else:
        declared = declared_kinds().get(name)
        subject = Subject(name, given, _code(name, declared.path) if declared else "")
        unknown = [key for key in given if declared and key not in subject.spec.options]
        if unknown:
            raise NormLabError(
                f"{name} has no option {unknown[0]!r}: it has {list(subject.spec.options)}."
            )
    _ = subject.spec  # an unknown kind or an unfit class is refused here, not by a hundred trials
    if subject.options:
        try:
            trial_config(subject.overrides)
        except HydraException as error:
            raise NormLabError(
                f"{subject.name} cannot be configured: {error.__cause__ or error}".splitlines()[0]
            ) from None
    return subject


def _code(kind: str, path: Path) -> str:
    """What keys call the code of a kind: of one of the package's only its name, if it has one."""
    return _CODE_IN_KEYS.get(kind, "") if path.is_relative_to(PACKAGE) else file_hash(path)


def _written(value: Any) -> str:
    """As Hydra's grammar reads it."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return value if isinstance(value, str) and re.fullmatch(r"[\w.]+", value) else json.dumps(value)
