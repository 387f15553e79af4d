"""Runs of Sacred: read from what its ``FileStorageObserver`` left. Reading them needs no Sacred."""

from __future__ import annotations

from kairos.adapters.sacred.folder import read_folder
from kairos.adapters.sacred.read import SacredRun, Unreadable

__all__ = ["SacredRun", "Unreadable", "read_folder"]
