"""Runs of a pipeline."""
