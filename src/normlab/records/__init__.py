"""Records of trials: what each was, what was measured, by which code; and where they are kept."""
