"""Runs of Sacred: read from what its observers left, which needs no Sacred; and an observer, which does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kairos.adapters.sacred.folder import read_folder
from kairos.adapters.sacred.mongo import read_export
from kairos.adapters.sacred.read import SacredRun, Unreadable

if TYPE_CHECKING:
    from kairos.adapters.sacred.observer import KairosObserver

__all__ = ["KairosObserver", "SacredRun", "Unreadable", "read_export", "read_folder"]


def __getattr__(name: str) -> Any:
    """Loads the observer, and Sacred with it, when it is asked for."""
    if name == "KairosObserver":
        from kairos.adapters.sacred.observer import KairosObserver

        return KairosObserver
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
