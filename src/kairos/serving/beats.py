"""Signs of life of workers: each event loop counts on, in a file that all map into memory, and the supervisor looks.

A process that exists may answer nobody: code that never comes back in the event loop, or a stop by a debugger. Its
number stands still then. A version that is being loaded may keep the interpreter to itself for long, so who loads says
so before it begins, and is given more time.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

__all__ = ["BEAT_S", "Beats", "Watch"]

BEAT_S = 0.25
"""Time between two beats."""

LOADING_FACTOR = 30
"""How many times longer a worker that loads a version may be silent."""

_NUMBER = struct.Struct("=Q")
_PLACE_BYTES = 2 * _NUMBER.size
"""Of each worker: its beats, and whether it loads; they are written by two threads, and so apart."""


class Beats:
    """The numbers of all workers; each is written by one process alone.

    Args:
        path: The file; made if it is not there.
        count: How many workers.
    """

    def __init__(self, path: Path, *, count: int) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(handle, _PLACE_BYTES * count)
            self._places = mmap.mmap(handle, _PLACE_BYTES * count)
        finally:
            os.close(handle)

    def beat(self, number: int) -> None:
        """Says that the event loop of that worker turns."""
        beats, _ = self.read(number)
        _NUMBER.pack_into(self._places, _PLACE_BYTES * number, beats + 1)

    def loading(self, number: int, is_loading: bool) -> None:
        """Says that a worker begins, or has ended, to load versions."""
        _NUMBER.pack_into(self._places, _PLACE_BYTES * number + _NUMBER.size, is_loading)

    def read(self, number: int) -> tuple[int, bool]:
        """The worker's beats so far, and whether it loads a version."""
        (beats,) = _NUMBER.unpack_from(self._places, _PLACE_BYTES * number)
        (is_loading,) = _NUMBER.unpack_from(self._places, _PLACE_BYTES * number + _NUMBER.size)
        return beats, bool(is_loading)

    def close(self) -> None:
        """Lets go of the file."""
        self._places.close()


class Watch:
    """How long a worker has been silent, as somebody sees who looks now and then.

    Args:
        patience_s: How long it may be.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self.look_s = min(max(patience_s / 10, 0.02), 0.5)
        """Time between two looks."""
        self._seen = -1
        self._silent_s = 0.0
        self._looked_s: float | None = None

    def is_over(self, beats: int, *, is_loading: bool, now_s: float) -> bool:
        """Whether the worker has been silent for too long.

        Of a long pause between two looks little is counted: then the machine, or whoever looks, stood still as well.
        """
        since_s = 0.0 if self._looked_s is None else min(now_s - self._looked_s, 2 * self.look_s)
        self._looked_s = now_s
        self._silent_s = self._silent_s + since_s if beats == self._seen else 0.0
        self._seen = beats
        return self._silent_s >= self._patience_s * (LOADING_FACTOR if is_loading else 1)
