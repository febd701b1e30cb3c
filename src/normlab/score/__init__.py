"""`normlab score`: a fixed battery of small trials for one norm beside others.

Decided by the rules of the claims.
"""
