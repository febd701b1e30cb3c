"""What a score measures by trials of its own: the layer by itself, and what it costs."""
