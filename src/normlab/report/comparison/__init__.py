"""Runs of a user's own beside one another: `normlab compare`, and what a sweep ends with."""
