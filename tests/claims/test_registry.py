"""Which file a claim's name stands for, and what is said where it stands for none or for two."""

import pytest

from normlab.claims.registry import experiment_file, load_claim, slugs
from normlab.errors import NormLabError


def test_one_name_in_two_folders_is_refused(toy):
    folder = toy()
    (folder / "other").mkdir()
    (folder / "other" / "toy.py").write_text((folder / "toy.py").read_text())
    for ask in (slugs, lambda folder: load_claim("toy", folder)):
        with pytest.raises(NormLabError, match=r"other/toy\.py and \S+/toy\.py are both"):
            ask(folder)


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("bn_batch_below_16", "bn-batch-below-16"),
        ("BN-batch-below-16", "bn-batch-below-16"),
        ("bn-batch-belw-16", "bn-batch-below-16"),
        ("syncbn", "syncbn-equals-global"),
    ],
)
def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(given, near):
    with pytest.raises(NormLabError, match=f"unknown claim '{given}': choose one of .*{near}"):
        load_claim(given)


@pytest.mark.parametrize("pattern", ["*", "../docs/*"])
def test_a_name_is_no_pattern(pattern):
    assert experiment_file(pattern) is None


def test_an_experiment_that_is_not_python_is_named_with_its_line(toy):
    path = toy() / "toy.py"
    path.write_text("a = 1\nb = (\n")
    with pytest.raises(NormLabError, match=r"toy\.py, line 2: not Python"):
        load_claim("toy", path.parent)
