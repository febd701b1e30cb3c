"""Running claims: engines, workers, and what they append."""
