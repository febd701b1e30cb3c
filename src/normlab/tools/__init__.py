"""Tools for users' own models: convert, fold, audit, advise, export."""
