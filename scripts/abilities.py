"""docs/abilities.md, from what the norms can do here: python scripts/abilities.py [GROUP ...]

Tries every ability of tests/norms/abilities/ on every norm, or those of the groups that are named,
writes down what it found, and builds the page. An exception that is none of ours is a mistake: it
is printed, and nothing is written.
"""

import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "norms"))

from abilities.all import ABILITIES
from abilities.page import PAGE, page
from abilities.table import one_process, run, save


def main(groups: list[str]) -> int:
    """The number of mistakes."""
    mistakes = []
    warnings.simplefilter("ignore")
    with one_process():
        for group in groups or dict.fromkeys(one.group for one in ABILITIES):
            result, wrong = run(group)
            mistakes += wrong
            if not wrong:
                save(group, result)
    print("\n".join(mistakes))
    if not mistakes:
        PAGE.write_text(page())
    return len(mistakes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
