"""Records -> verdicts.json, README.md, VERDICTS.md and the page. See `build.py`."""
