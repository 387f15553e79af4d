"""One at a time: of several loops on one project only one learns, however long a training takes.

What is decided is safe without this, as every change names the head of the ledger that it was decided on. But a second
loop that finds a training unfinished cannot know whether it was cut off or still runs.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from kairos.app.project import Project

__all__ = ["alone"]

_LOCK = "learning.lock"


@contextmanager
def alone(project: Project) -> Iterator[bool]:
    """Whether nobody else learns for the project now; as long as the block lasts nobody else begins to.

    The system lets go of it when a process dies, however it does. It reaches as far as the file system of
    the project's home keeps locks: one machine.
    """
    project.home.mkdir(parents=True, exist_ok=True)
    lock = os.open(project.home / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(lock)
