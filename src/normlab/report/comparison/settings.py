"""In which settings runs differ, by the names that train.py knows them by. Torch-free."""

from collections.abc import Mapping, Sequence

from normlab.records.json_values import Json
from normlab.records.record import Record, counted

Settings = Mapping[str, str]  # name -> value, as in `optim.lr=0.1`

# By what a group of conf/ is chosen: `norm=groupnorm` sets norm.kind.
_CHOICES = ("kind", "name")


def settings_of(record: Record) -> dict[str, str]:
    """What a run was made with but for its seed: `norm`, `norm.num_groups`, `optim.lr`, ...

    What is null, false or empty is left out, as it is out of a trial's key: a run of today is then
    beside one that was made before there was the option.
    """
    settings: dict[str, str] = {}
    for name, value in counted(record.config).items():
        if name != "seed":
            settings |= _flat(name, value)
    return settings


def _flat(name: str, value: Json) -> dict[str, str]:
    if not isinstance(value, dict):
        empty = value is None or value is False or value == []
        return {} if empty else {name: shown(value)}
    flat: dict[str, str] = {}
    for key, item in value.items():
        # Of a group of conf/, and not of what is deeper.
        flat |= _flat(name if key in _CHOICES and "." not in name else f"{name}.{key}", item)
    return flat


def shown(value: Json) -> str:
    """A value as it is written in a command."""
    if isinstance(value, list):
        return f"[{','.join(shown(item) for item in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def varied(runs: Sequence[Settings]) -> list[str]:
    """The settings in which `runs` differ, in the order of the configuration.

    Of a group the choice, and its options where runs of one choice differ in them: that groupnorm
    has num_groups and batchnorm has none is no difference beside that of the two.
    """
    names = list(dict.fromkeys(name for settings in runs for name in settings))
    return [name for name in names if _differs(name, runs)]


def _differs(name: str, runs: Sequence[Settings]) -> bool:
    group = name.partition(".")[0]
    # By the choice of their group; by nothing where the name is that choice.
    by_choice: dict[str, set[str]] = {}
    for settings in runs:
        choice = "" if name == group else settings.get(group, "")
        by_choice.setdefault(choice, set()).add(settings.get(name, ""))
    return any(len(values) > 1 for values in by_choice.values())
