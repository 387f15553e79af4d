"""Simple models that every model of a run is held against: a constant, the last value known, and a straight line."""
