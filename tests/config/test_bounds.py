"""Every number of the schema, out of its range: one sentence that names the valid ones."""

import math
import typing

import pytest

from normlab.config.bounds import BOUNDS
from normlab.config.compose import SCHEMAS, compose
from normlab.config.schema import TrainerConfig
from normlab.data.options import DATA_CONFIGS, check_options
from normlab.errors import NormLabError
from normlab.norms import KINDS, make_norm
from normlab.norms.registry import declared_kinds

# The choice that has an option, where the default choice has not.
CHOSEN_BY = {
    "data.context": "data=pydoc_lines", "data.eval_context": "data=pydoc_lines",
    "model.num_heads": "model=transformer", "model.mlp_ratio": "model=transformer",
    "model.norm_gain": "model=rnn", "optim.beta1": "optim=adamw", "optim.beta2": "optim=adamw",
}  # fmt: skip


def numeric(schema):
    """The options of a dataclass that hold a number, and whether it is a whole one."""
    for name, kind in typing.get_type_hints(schema).items():
        kinds = set(typing.get_args(kind) or (kind,)) - {type(None)}
        if kinds in ({int}, {float}):
            yield name, kinds == {int}


def test_every_numeric_setting_has_bounds():
    known = set(BOUNDS)
    for (group, _), schema in SCHEMAS.items():
        if group in ("model", "optim"):
            for name, _ in numeric(schema):
                assert f"{group}.{name}" in known
    assert {f"trainer.{name}" for name, _ in numeric(TrainerConfig)} <= known
    for name, schema in DATA_CONFIGS.items():
        for option, _ in numeric(schema):
            cfg = schema(name=name)
            setattr(cfg, option, -1)
            with pytest.raises(NormLabError, match=rf"data\.{option}=-1 .*pass "):
                check_options(cfg)


@pytest.mark.parametrize("name", BOUNDS)
def test_numbers_out_of_range_end_in_a_sentence(name):
    choice = [CHOSEN_BY[name]] if name in CHOSEN_BY else []
    bound = BOUNDS[name]
    refused = [-1, 10**20] if _is_whole(name) else [-1.0, math.nan, math.inf, -math.inf, 1e300]
    refused += [0] if bound.above or bound.low == 1 else []
    refused += [1.0] if bound.below else []
    for value in refused:
        with pytest.raises(NormLabError) as sentence:
            compose([*choice, f"{name}={value}"])
        words = str(sentence.value)
        assert words.startswith(f"{name}={value}") or words.startswith(f"{name}={float(value)}")
        assert "give " in words and words.endswith(".") and "\n" not in words


def _is_whole(name):
    group, _, option = name.rpartition(".")
    schemas = [
        TrainerConfig,
        *(s for (g, _), s in SCHEMAS.items() if g == group),
        *DATA_CONFIGS.values(),
    ]
    for schema in schemas if group else []:
        for other, whole in numeric(schema):
            if other == option:
                return whole
    return True  # the seed


@pytest.mark.parametrize("value", [0, 2**64 - 1])
def test_the_ends_of_the_range_are_in_it(value):
    with pytest.raises(
        NormLabError, match=r"^seed=\d+: give a number from 0 to 18446744073709551615.$"
    ):
        compose(["seed=99999999999999999999"])
    assert compose([f"seed={value}"]).seed == value
    assert compose(["optim.warmup=1", "optim.momentum=0"]).optim.warmup == 1


@pytest.mark.parametrize("kind", sorted(declared_kinds()))
def test_options_of_norms_are_finite(kind):
    for option in declared_kinds()[kind].options:
        kinds = set(typing.get_args(option.type) or (option.type,))
        values = [math.nan, math.inf, 1e300] if float in kinds else []
        values += [10**20] if int in kinds else []
        for value in values:
            with pytest.raises(NormLabError):
                compose([f"norm={kind}", f"norm.{option.name}={value}"])
                make_norm(kind, 16, KINDS[kind].layouts[0], **{option.name: value})
