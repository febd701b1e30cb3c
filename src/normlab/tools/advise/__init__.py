"""`normlab advise`: norms ranked for a situation, by the recorded verdicts and nothing else."""
