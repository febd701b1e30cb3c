"""Training: `fit(cfg) -> Record`, hosted by Lightning, with a plain inner step."""
