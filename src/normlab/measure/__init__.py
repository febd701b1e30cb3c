"""What a claim's own trial measures, and the timing of everything."""
