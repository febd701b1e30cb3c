"""What in a record tells of a person or of one computer. Standard library only.

Records are made to hold nothing of that; this is the proof before one is sent.
"""

import getpass
import platform
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from normlab.records.json_values import leaves

# A path from the root, of a home folder or with a drive's letter: not a ratio, and no address.
_PATH = re.compile(
    r"""(?:^|(?<=[\s"'(\[=,:]))(?:~|[A-Za-z]:)?[/\\]\w[\w.~@+-]*(?:[/\\][\w.~@+-]+)*"""
)
# What is called like this on thousands of machines.
_COMMON = frozenset({"root", "user", "home", "ubuntu", "admin", "runner", "localhost", "debian"})
# Hashed into the key of a trial, or written in this project: no person's words.
_OURS = frozenset({"config", "claim", "arm", "stage", "key", "metrics", "curve", "code"})


def without_paths(text: str) -> str:
    """`text` with every path that begins at the root replaced by `…`."""
    return _PATH.sub("…", text)


def names_here() -> frozenset[str]:
    """Of the user and of the computer, but for names that tell nothing."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        user = ""
    node = platform.node()
    names = {user, Path.home().name, node, node.partition(".")[0]}
    return frozenset(name.lower() for name in names if len(name) > 2) - _COMMON


def telling(row: Mapping[str, object], names: Iterable[str] = ()) -> str:
    """What in `row` tells of a person or a computer, with its place: `message holds /home/anna/x`;
    "" if nothing does.

    names: of the user and the computer, looked for where the words are not this project's.
    """
    names = frozenset(names)
    for group, value in row.items():
        for place, text in leaves(value, group):
            if not isinstance(text, str):
                continue
            found = _PATH.search(text)
            if found:
                return f"{place} holds the path {found[0]}"
            words = set(re.findall(r"[\w.-]+", text.lower()))
            if group not in _OURS and not names.isdisjoint(words):
                return f"{place} holds the name of a user or a computer"
    return ""
