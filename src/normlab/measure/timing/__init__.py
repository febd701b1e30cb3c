"""Benchmarks: ratios with both sides measured in one process."""
