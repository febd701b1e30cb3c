"""`python -P print_versions.py SLUG PROTOCOL ...`: the versions of claims, as JSON.

A script by itself: the normlab that it imports, from PYTHONPATH, is that of an earlier commit.
"""

import json
import sys


def main() -> None:
    from normlab.claims.registry import load_claim
    from normlab.claims.version import version

    found: list[str | None] = []
    for slug, protocol in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        try:
            found.append(version(load_claim(slug), protocol))
        except Exception as error:  # no such claim at that commit, say
            print(f"{slug}, {protocol}: {type(error).__name__}: {error}", file=sys.stderr)
            found.append(None)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
