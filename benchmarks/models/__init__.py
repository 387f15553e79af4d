"""Models: packed, and asked."""
