"""`normlab ...` for models of one's own. Heavy imports are inside the commands."""
