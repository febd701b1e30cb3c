"""Protocols and arms that several claims share."""
