"""The configuration: its typed schema, and how it is composed."""
