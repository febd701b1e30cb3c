"""matplotlib without what a user's settings change: the same numbers give the same bytes."""

from collections.abc import Iterator
from contextlib import contextmanager

from normlab.errors import NormLabError


@contextmanager
def fixed_style(salt: str, what: str) -> Iterator[None]:
    """Inside, figures have matplotlib's own style, ids made with `salt`, and text that stays text.

    Raises:
        NormLabError: matplotlib is not installed, which `what` needs.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise NormLabError(f"{what} needs matplotlib: install it.") from error
    # A matplotlibrc of the user's must not change the bytes.
    style = {**matplotlib.rcParamsDefault, "svg.hashsalt": salt, "svg.fonttype": "none"}
    # `rc_context` does not put the backend back: a notebook would lose its own.
    del style["backend"]
    with matplotlib.rc_context(style):
        yield
