"""The browser that a test of pages runs in."""

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def chromium() -> str | None:
    """Where it is installed, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)
