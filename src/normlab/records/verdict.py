"""The five verdicts, in words."""

SUPPORTED, PARTLY, REFUTED = "supported", "partly supported", "refuted"
INCONCLUSIVE, NO_DATA = "inconclusive", "no data"
VERDICTS = (SUPPORTED, PARTLY, REFUTED, INCONCLUSIVE, NO_DATA)
