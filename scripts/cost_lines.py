"""Writes the line "Cost:" of every claim's file anew, from its design and what trials are expected
to take.

    python scripts/cost_lines.py
"""

import re
import textwrap
from collections import Counter

from normlab.claims.cost import cost_line, first_look
from normlab.claims.design import Design
from normlab.claims.registry import experiment_file, load_all

LINE = re.compile(r"^Cost: .*?(?=^$|^\"\"\")", re.DOTALL | re.MULTILINE)


def cost_lines() -> dict[str, str]:
    """By slug the line, wrapped, of every claim that has a full protocol."""
    claims = {claim.slug: claim for claim in load_all() if "full" in claim.protocols}
    plans = {slug: Design(claim, claim.protocols["full"]) for slug, claim in claims.items()}
    keys = {slug: _keys(design) for slug, design in plans.items()}
    users = Counter(key for planned in keys.values() for key in planned)
    lines = {}
    for slug, design in plans.items():
        shared = sum(users[key] > 1 for key in keys[slug])
        line = cost_line(claims[slug], design, shared)
        lines[slug] = "\n".join(textwrap.wrap(line, 100, drop_whitespace=True)) + "\n"
    return lines


def _keys(design: Design) -> set[str]:
    return {job.key for job in first_look(design, {}).planned}


def main() -> None:
    """Write them."""
    for slug, line in cost_lines().items():
        path = experiment_file(slug)
        assert path is not None, f"{slug} has no file"
        text = path.read_text(encoding="utf-8")
        path.write_text(LINE.sub(line, text, count=1), encoding="utf-8")


if __name__ == "__main__":
    main()
