"""What each norm can do where torch's layers are used: see table.py, and docs/abilities.md."""
