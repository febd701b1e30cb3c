"""`normlab advise`: norms ranked for a situation, by the verdicts that are recorded and by nothing else."""
