"""Who of the workers answers, and why the others do not: written by their supervisor, read by whoever is asked.

So any worker can tell what became of one that cannot begin again, which nobody could ask.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

__all__ = ["Place", "Roster", "State"]

State = Literal["begins", "answers", "fails"]
"""``fails``: it could not begin to answer, and is tried again."""

_NAME = "roster.json"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor knows of one worker."""

    number: int
    state: State
    pid: int | None = None
    """Of its process; ``None``: there is none at the moment."""
    reason: str | None = None
    """Why it fails, or what ended the one before it."""
    restarts: int = 0
    """How often another one was started in its place."""


class Roster:
    """The places of all workers, in a file of the folder that they share."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME

    def write(self, places: Sequence[Place]) -> None:
        """Replaces what was written before; a reader sees the one or the other."""
        temporary = self._path.with_suffix(".tmp")
        temporary.write_bytes(msgspec.json.encode(list(places)))
        os.replace(temporary, self._path)

    def read(self) -> tuple[Place, ...]:
        """The places in the order of their numbers; nothing where no supervisor has written yet, or is gone."""
        try:
            return tuple(msgspec.json.decode(self._path.read_bytes(), type=list[Place]))
        except FileNotFoundError:
            return ()
