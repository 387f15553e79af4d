"""Bytes into the store."""
