"""Claim -> trials -> records -> verdict."""
