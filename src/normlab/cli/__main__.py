"""`python -m normlab.cli`: the same as `normlab`."""

from normlab.cli import app

app()
