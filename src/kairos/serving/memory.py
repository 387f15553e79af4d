"""A server's folder in memory: doors, beats, metrics and the roster of its workers."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

__all__ = ["memory_folder"]

_MEMORY = "/dev/shm"
"""Where files are in memory, on Linux: those that workers map may not end them because a disk is full."""
_PREFIX = "kairos-server-"
_HELD = "held"
"""The system lets go of its lock when the server dies, however it does."""


@contextmanager
def memory_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder for as long as the block lasts. What a server that was killed has left is removed first.

    Args:
        parent: Where; ``None``: in memory, or among temporary files where there is no such place.
    """
    if parent is None:
        parent = Path(_MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else gettempdir())
    for left in parent.glob(f"{_PREFIX}*"):
        if _is_left(left / _HELD):
            shutil.rmtree(left, ignore_errors=True)
    with TemporaryDirectory(prefix=_PREFIX, dir=parent) as name:
        folder = Path(name)
        handle = os.open(folder / ".held", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            os.rename(folder / ".held", folder / _HELD)  # nobody sees it before it is held
            yield folder
        finally:
            os.close(handle)


def _is_left(held: Path) -> bool:
    try:
        handle = os.open(held, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # it is being made or removed, or is somebody else's
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
