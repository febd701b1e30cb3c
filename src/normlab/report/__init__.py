"""Records -> results/report/index.html, the table in README.md and results/verdicts.json. See `build.py`."""
