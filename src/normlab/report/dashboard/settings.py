"""In which settings the trials of a claim differ, beside what is compared. Torch-free."""

from collections.abc import Hashable, Sequence

from normlab.records.json_values import Json, JsonObject
from normlab.records.record import Record

# Groups of a configuration, in the order in which a chart's name has their settings.
_GROUPS = ("model", "reparam", "norm", "data", "optim", "trainer")
# A learning rate is an axis, or tuned for each arm by itself.
_ASIDE = ("optim.lr",)


def coordinates(records: Sequence[Record], known: Sequence[Hashable]) -> list[str]:
    """The settings that tell the trials of one claim apart, in words, for each of `records`.

    Each setting that neither `known`, of each record, nor the settings before it fix: where
    records that are alike in all of these differ in it. One that is not given says nothing.
    """
    settings = [_settings(record) for record in records]
    words: list[list[str]] = [[] for _ in records]
    told: list[tuple[Hashable, ...]] = [(one,) for one in known]
    for name in sorted(set[str]().union(*settings), key=_order):
        values = [_shown(one.get(name)) for one in settings]
        more = [(*one, value) for one, value in zip(told, values, strict=True)]
        if len(set(more)) == len(set(told)):
            continue
        told = more
        for one, added in zip(settings, words, strict=True):
            if name in one:
                added.append(f"{_word(name)} {_shown(one[name])}")
    return [", ".join(added) for added in words]


def _settings(record: Record) -> JsonObject:
    """Of the groups of a configuration, by `group.name`."""
    settings: JsonObject = {}
    for group in _GROUPS:
        for name, value in record.section(group).items():
            # As in keys of trials: a new option that is off is no difference from before it.
            if value is not None and value is not False and value != []:
                settings[f"{group}.{name}"] = value
    return {name: value for name, value in settings.items() if name not in _ASIDE}


def _order(name: str) -> tuple[int, bool, str]:
    """By group, and in it what is chosen before its options."""
    group, _, setting = name.partition(".")
    return _GROUPS.index(group), setting not in ("name", "kind"), setting


def _shown(value: Json) -> str:
    """`0.1`, and `1` of 1.0, which may be written either way."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _word(name: str) -> str:
    """`depth` of `model.depth`, and `model` of `model.name`."""
    group, _, setting = name.partition(".")
    return group if setting in ("name", "kind") else setting
