"""The experiment record."""
