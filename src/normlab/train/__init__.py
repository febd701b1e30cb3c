"""The command line of a training: `python train.py ...`, or `python -m normlab.train ...`."""

from normlab.errors import NormLabError, extras_named, interrupted, refuse


def main() -> None:
    """Train what the arguments in `sys.argv` say, or the sweep that they are, and exit."""
    try:
        with extras_named():
            from normlab.train.launch import launch
    except NormLabError as error:
        refuse(error)
    except KeyboardInterrupt:
        interrupted("nothing had begun; the same command starts it.")
    launch()
