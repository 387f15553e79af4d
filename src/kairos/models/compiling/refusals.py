"""Why a model has no compiled form."""

from __future__ import annotations

__all__ = ["NotCompiled"]


class NotCompiled(Exception):  # not of the tree of errors: it never leaves this room
    """Holds one sentence that a person reads in the package."""
