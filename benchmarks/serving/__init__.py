"""Requests over real HTTP."""
